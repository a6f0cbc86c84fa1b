"""Whole federations in one process: same seed, same bytes; crashes on purpose; interruption and resume."""

import hashlib
import json
import os
import signal
import struct
import subprocess
import time
import unittest

from federation import ECHO, PATIENCE_SECONDS, FederationTest, main, python_with_torch
from safetensors_reader import read_safetensors
from tensorboard_reader import read_events

PYTHON = python_with_torch()

# Small enough for a test, real all the same: drawn digits, a real network, real training.
SMALL = ["data.name=synthetic_digits", "data.synthetic_train=3000", "data.synthetic_test=500",
         "model.name=mlp_2nn", "clients.count=3", "train.learning_rate=0.05", "train.batch_size=10"]

# Prints [name, type, shape, bytes] of each parameter.
PARAMETERS = """
import json, sys, torch
print(json.dumps([(name, {torch.float32: "F32"}[value.dtype], list(value.shape), value.detach().numpy().tobytes().hex())
                  for name, value in torch.jit.load(sys.argv[1]).named_parameters()]))
"""


def single(value):
    """As float32."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


@unittest.skipIf(os.environ.get("FL_WITHOUT_TORCH"), "built without torch")
class Training(FederationTest):
    def simulate(self, name, *settings, arguments=()):
        out = self.folder / name
        code, output = self.run_node("--role", "simulate", "--out", out, *arguments, settings=[*SMALL, *settings])
        self.assertEqual(code, 0, output)
        return self.summary(out)

    def test_same_seed_same_bytes_for_any_number_of_workers(self):
        sync = ["strategy.name=fedavg", "run.max_versions=3"]
        one = self.simulate("one", *sync, "simulate.workers=1")
        two = self.simulate("two", *sync, "simulate.workers=2")
        again = self.simulate("again", *sync, "simulate.workers=2", "clients.speed=list", "clients.speed_list=2,1,1.5")
        other = self.simulate("other", *sync, arguments=["--seed", 2])
        self.assertEqual(one["model_sha256"], two["model_sha256"])
        self.assertEqual(one["model_sha256"], again["model_sha256"])
        self.assertNotEqual(one["model_sha256"], other["model_sha256"])

    def test_a_sampled_cohort_and_a_server_optimiser_are_repeatable_too(self):
        settings = ["strategy.name=fedavg", "run.max_versions=4", "clients.count=6", "clients.fraction=0.5",
                    "data.partition=dirichlet", "strategy.server_optimizer=yogi"]
        one = self.simulate("one", *settings, "simulate.workers=1")
        two = self.simulate("two", *settings, "simulate.workers=2")
        self.assertEqual(one["model_sha256"], two["model_sha256"])
        self.assertEqual(one["updates_accepted"], 12)

    def test_asynchronous_training_learns(self):
        for strategy in ["fedavg_async", "fedasync", "fedasync_delta", "fedbuff"]:
            with self.subTest(strategy):
                extra = ["strategy.buffer_size=2"] if strategy == "fedbuff" else []
                summary = self.simulate(strategy, f"strategy.name={strategy}", "run.max_versions=0",
                                        "run.max_updates=90", *extra)
                self.assertEqual(summary["updates_accepted"], 90)
                self.assertGreater(summary["final_accuracy"], 0.6)
                self.assert_versions_once(self.folder / strategy)

    def test_clients_can_evaluate(self):
        summary = self.simulate("clients", "evaluate.where=clients", "run.max_versions=4", "strategy.name=fedavg")
        self.assertGreater(summary["final_accuracy"], 0.3)
        self.assertTrue(all(line["eval_accuracy"] for line in self.metrics(self.folder / "clients")))

    def test_files_of_a_run(self):
        run = self.folder / "run"
        self.simulate("run", "run.max_versions=3", "evaluate.every=2", "log.tensorboard=true")
        present = {path.name for path in run.iterdir()}
        wanted = {"run.db", "config.toml", "metrics.jsonl", "summary.json", "model.safetensors", "model.pt", "checkpoints",
                  "tensorboard"}
        self.assertLessEqual(wanted, present)
        self.assert_tensorboard_says_the_same(run)

    def assert_tensorboard_says_the_same(self, run):
        """As metrics.jsonl, in single precision."""
        file, = (run / "tensorboard").iterdir()
        (_, _, version), (_, first, start), *scalars = read_events(file)
        self.assertEqual((version, first, start), ("brain.Event:2", 1, "start"))
        lines, accepted = self.metrics(run), 0
        self.assertEqual([step for _, step, _ in scalars], [line["version"] for line in lines])
        for (wall_time, _, said), line in zip(scalars, lines):
            self.assertLess(abs(wall_time - time.time()), PATIENCE_SECONDS)
            accepted += line["updates"]
            wanted = {"train/loss": line["train_loss"], "updates/staleness_mean": line["staleness_mean"],
                      "updates/accepted": accepted, "bytes/up": line["bytes_up"], "bytes/down": line["bytes_down"]}
            if line["eval_loss"] is not None:
                wanted |= {"eval/loss": line["eval_loss"], "eval/accuracy": line["eval_accuracy"]}
                wanted |= {f"eval/{name}": value for name, value in line.get("eval_metrics", {}).items()}
            self.assertEqual(said, {tag: single(value) for tag, value in wanted.items()})
        self.assertTrue(any("eval/loss" in said for _, _, said in scalars))

    @unittest.skipIf(PYTHON is None, "no Python here has torch (Debian: python3-torch)")
    def test_both_files_of_the_model_hold_what_the_summary_says(self):
        run = self.folder / "run"
        summary = self.simulate("run", "run.max_versions=1", "model.export_int8=true")
        done = subprocess.run([PYTHON, "-c", PARAMETERS, run / "model.pt"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        scripted = [tuple(entry) for entry in json.loads(done.stdout)]
        tensors, metadata = read_safetensors(run / "model.safetensors")
        self.assertEqual([(name, dtype, shape, content.hex()) for name, (dtype, shape, content) in tensors.items()], scripted)
        self.assertEqual(hashlib.sha256(b"".join(content for _, _, content in tensors.values())).hexdigest(),
                         summary["model_sha256"])
        self.assertEqual((metadata["model"], metadata["version"]), ("mlp_2nn", "1"))
        small, _ = read_safetensors(run / "model.int8.safetensors")
        self.assertEqual({name: shape for name, (_, shape, _) in small.items() if not name.endswith(".scale")},
                         {name: shape for name, (_, shape, _) in tensors.items()})


class Chaos(FederationTest):
    def test_every_actor_may_crash(self):
        crashes = ["aggregator@version=3", "client-2@task=2", "trainer-0@task=1", "scheduler@lease=4", "metrics@version=5",
                   "evaluator@version=2", "checkpointer@snapshot=4", "session-1@update=2", "gateway@hello=4"]
        for strategy, versions in [("fedavg", 8), ("fedavg_async", 60)]:
            with self.subTest(strategy):
                out = self.folder / strategy
                code, output = self.run_node(
                    "--role", "simulate", "--out", out,
                    settings=[*ECHO, "train.echo_seconds=0.02", "clients.count=3", f"strategy.name={strategy}",
                              f"run.max_versions={versions}", "chaos.crash=" + ",".join(crashes)])
                self.assertEqual(code, 0, output)
                summary = self.summary(out)
                self.assertEqual(summary["model_version"], versions)
                self.assertGreaterEqual(summary["restarts"], 6, output)
                self.assert_versions_once(out)
                self.assertEqual([line["version"] for line in self.metrics(out)], list(range(1, versions + 1)))

    def test_an_actor_that_always_crashes_ends_the_run(self):
        crashes = ",".join(f"trainer-0@task={n}" for n in range(1, 8))
        code, output = self.run_node(
            "--role", "simulate", "--out", self.folder / "run",
            settings=[*ECHO, "train.echo_seconds=0.01", "supervision.max_restarts=3", f"chaos.crash={crashes}",
                      "run.max_versions=1000"])
        self.assertEqual(code, 1, output)
        self.assertIn("trainer-0 crashed more than 3 times", output)
        self.assertEqual(self.summary(self.folder / "run")["status"], "failed")


class Interruption(FederationTest):
    def test_a_signal_saves_and_a_resume_goes_on(self):
        out = self.folder / "run"
        settings = [*ECHO, "train.echo_seconds=0.05", "clients.count=3", "run.max_versions=40", "log.tensorboard=true"]
        node = self.start("--role", "simulate", "--out", out, settings=settings)
        self.wait_for_versions(node, out, 3)
        node.kill(signal.SIGTERM)
        self.assertEqual(node.wait(), 130, node.output)
        stopped = self.summary(out)
        self.assertEqual(stopped["status"], "stopped")
        code, output = self.run_node("--role", "simulate", "--out", out, "--resume", settings=settings)
        self.assertEqual(code, 0, output)
        done = self.summary(out)
        self.assertEqual(done["status"], "completed")
        self.assertEqual(done["resumed_from_version"], stopped["model_version"])
        self.assertEqual([line["version"] for line in self.metrics(out)], list(range(1, 41)))
        # TensorBoard forgets what an earlier file says from where the later one starts.
        steps = []
        for file in sorted((out / "tensorboard").iterdir()):
            for _, step, what in read_events(file):
                if what == "start":
                    steps = [earlier for earlier in steps if earlier < step]
                elif isinstance(what, dict):
                    steps.append(step)
        self.assertEqual(len(list((out / "tensorboard").iterdir())), 2)
        self.assertEqual(steps, list(range(1, 41)))
        # A resume of what is complete changes nothing.
        before = (out / "summary.json").read_bytes()
        code, output = self.run_node("--role", "simulate", "--out", out, "--resume", settings=settings)
        self.assertEqual(code, 0, output)
        self.assertEqual((out / "summary.json").read_bytes(), before)


if __name__ == "__main__":
    main()
