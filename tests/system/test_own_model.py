"""A model made in Python, trained federatedly, and back in Python: the same answers, and as good as pooled training."""

import json
import os
import subprocess
import unittest

from federation import ROOT, FederationTest, main, python_with_torch

MNIST = ROOT / "data/mnist"
RATE = 0.05
VERSIONS, CLIENTS, STEPS = 10, 3, 40


PYTHON = python_with_torch()


@unittest.skipIf(os.environ.get("FL_WITHOUT_TORCH"), "built without torch")
class OwnModel(FederationTest):
    def setUp(self):
        super().setUp()
        if PYTHON is None:
            self.skipTest("no Python here has torch (Debian: python3-torch)")
        if not any(MNIST.glob("train-images*")):
            self.skipTest("no MNIST here (scripts/fetch_mnist.sh)")
        self.model = self.folder / "own.pt"
        self.python(ROOT / "examples/own_model/model.py", self.model)

    def python(self, *arguments):
        done = subprocess.run([PYTHON, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def pooled(self, what, model, *arguments):
        return json.loads(self.python(ROOT / "tests/system/pooled_training.py", what, model, MNIST, *arguments))

    def test_a_model_from_python_trains_here_as_well_as_there_and_goes_back(self):
        out = self.folder / "run"
        code, output = self.run_node("--role", "simulate", "--out", out, settings=[
            f"model.file={self.model}", f"data.dir={MNIST}", "strategy.name=fedavg", f"clients.count={CLIENTS}",
            f"run.max_versions={VERSIONS}", f"train.steps={STEPS}", f"train.learning_rate={RATE}", "evaluate.every=5"])
        self.assertEqual(code, 0, output)
        summary = self.summary(out)
        back = self.pooled("accuracy", out / "model.pt")
        self.assertAlmostEqual(back["accuracy"], summary["final_accuracy"], 4)
        self.assertIn("features.0.weight", back["parameters"])
        # As many batches, all in one place.
        pooled = self.pooled("train", self.model, VERSIONS * CLIENTS * STEPS, RATE)
        self.assertGreater(summary["final_accuracy"], pooled["accuracy"] - 0.01)
        print(f"\nfederated {summary['final_accuracy']:.4f}, pooled in Python {pooled['accuracy']:.4f}, "
              f"model.pt in Python {back['accuracy']:.4f}")

    def test_clients_need_the_same_file(self):
        server = self.aggregator(self.folder / "run", settings=[
            f"model.file={self.model}", f"data.dir={MNIST}", "clients.count=1", "run.max_versions=1", "train.steps=2"])
        without = self.client(server.port, "without", settings=[f"data.dir={MNIST}"])
        self.assertEqual(without.wait(), 1, without.output)
        self.assertIn("model.file", without.output)
        other = self.folder / "other.pt"
        other.write_bytes(self.model.read_bytes() + b"\0")
        wrong = self.client(server.port, "without", settings=[f"data.dir={MNIST}", f"model.file={other}"])
        self.assertEqual(wrong.wait(), 1, wrong.output)
        self.assertIn("another file than the aggregator's", wrong.output)
        right = self.client(server.port, "without", settings=[f"data.dir={MNIST}", f"model.file={self.model}"])
        self.assertEqual(right.wait(), 0, right.output)
        self.assertEqual(server.wait(), 0, server.output)

    def test_files_that_are_no_models_say_so(self):
        for content, says in [(b"no model", "TorchScript"), (None, "No such file")]:
            file = self.folder / "bad.pt"
            file.unlink(missing_ok=True)
            if content is not None:
                file.write_bytes(content)
            code, output = self.run_node("--role", "simulate", "--out", self.folder / "bad", settings=[
                f"model.file={file}", f"data.dir={MNIST}"])
            self.assertEqual(code, 2, output)
            self.assertIn("bad.pt", output)
            self.assertIn(says, output)
            self.assertFalse((self.folder / "bad").exists())


if __name__ == "__main__":
    main()
