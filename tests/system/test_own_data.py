"""Data that each client has for itself: tables, arrays, images; standardised together; predicted from afterwards."""

import csv
import io
import json
import os
import random
import struct
import subprocess
import unittest
import zipfile
import zlib

from federation import NODE, ROOT, FederationTest, main
from test_own_model import PYTHON

HOSPITALS = ROOT / "examples/medical/data/hospitals"
TEST = ROOT / "examples/medical/data/test.csv"
TABLE = ["data.name=csv", "model.name=logistic", "train.learning_rate=0.05", "train.batch_size=16", "strategy.name=fedavg",
         "clients.count=3"]


def read_table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_table(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def png(width, height, grey):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(grey[y * width:(y + 1) * width]) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def npy(kind, shape, content):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def write_npz(path, rows, labels):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        flat = [value for row in rows for value in row]
        file.writestr("x.npy", npy("<f4", (len(rows), len(rows[0])), struct.pack(f"<{len(flat)}f", *flat)))
        file.writestr("y.npy", npy("<i8", (len(labels),), struct.pack(f"<{len(labels)}q", *labels)))


@unittest.skipIf(os.environ.get("FL_WITHOUT_TORCH"), "built without torch")
class OwnData(FederationTest):
    def federate(self, files, server_settings, client_settings=(), **more):
        """An aggregator and a client for each file; returns the run's folder."""
        out = self.folder / "run"
        server = self.aggregator(out, settings=server_settings, **more)
        clients = [self.client(server.port, f"site-{index}", settings=[f"data.file={file}", *client_settings])
                   for index, file in enumerate(files)]
        self.assertEqual(server.wait(), 0, server.output)
        for client in clients:
            self.assertEqual(client.wait(), 0, client.output)
        return out

    def schema(self, *settings):
        path = self.folder / "columns.json"
        arguments = [part for setting in settings for part in ("--set", setting)]
        code, output = self.run_node_bare("data", *arguments, "--schema", path)
        self.assertEqual(code, 0, output)
        return path

    def test_hospitals_learn_together_what_a_simulation_learns_and_no_row_leaves_them(self):
        # The aggregator has nothing but the schema and a test set.
        files = sorted(HOSPITALS.glob("*.csv"))
        schema = self.schema("data.name=csv", f"data.file={files[2]}", "data.target=diagnosis")
        goals = ["run.max_versions=8", "evaluate.every=1"]
        out = self.federate(files, [*TABLE, *goals, f"data.schema={schema}", f"data.test_file={TEST}"], ["data.name=csv"])
        summary = self.summary(out)
        simulated = self.folder / "simulated"
        code, output = self.run_node("--role", "simulate", "--out", simulated, settings=[
            *TABLE, *goals, f"data.file={HOSPITALS}", "data.target=diagnosis", f"data.test_file={TEST}"])
        self.assertEqual(code, 0, output)
        self.assertGreater(summary["final_accuracy"], 0.93)
        self.assertAlmostEqual(summary["final_accuracy"], self.summary(simulated)["final_accuracy"], delta=0.02)
        # The means of all hospitals' rows, from three numbers of each.
        rows = [float(row["mean_radius"]) for file in files for row in read_table(file)]
        kept = json.loads((out / "data.json").read_text())
        self.assertAlmostEqual(kept["standardisation"][0], sum(rows) / len(rows), 4)
        together = json.loads((simulated / "data.json").read_text())["standardisation"]
        self.assertEqual(len(together), 60)
        for found, expected in zip(kept["standardisation"], together):  # added up in the order of coming
            self.assertAlmostEqual(found / expected, 1, 9)

    def test_a_restarted_server_standardises_as_before(self):
        files = sorted(HOSPITALS.glob("*.csv"))
        out = self.folder / "run"
        settings = [*TABLE, f"data.test_file={TEST}", "data.target=diagnosis", "run.max_versions=100",
                    "strategy.name=fedavg_async", "clients.minimum=3"]
        server = self.aggregator(out, settings=settings)
        clients = [self.client(server.port, f"site-{index}", settings=["data.name=csv", f"data.file={file}",
                                                                      "net.backoff_max_s=0.5"])
                   for index, file in enumerate(files)]
        self.wait_for_versions(server, out, 5)
        kept = (out / "data.json").read_text()
        server.kill()
        server.wait()
        again = self.start("--role", "aggregator", "--port", server.port, "--out", out, "--resume")
        self.assertEqual(again.wait(), 0, again.output)
        for client in clients:
            self.assertEqual(client.wait(), 0, client.output)
        self.assertEqual((out / "data.json").read_text(), kept)
        self.assertGreater(self.summary(out)["final_accuracy"], 0.93)

    def test_what_is_wrong_with_a_clients_table_is_said_there_and_nothing_is_lost(self):
        files = sorted(HOSPITALS.glob("*.csv"))
        out = self.folder / "run"
        server = self.aggregator(out, settings=[*TABLE, f"data.test_file={TEST}", "data.target=diagnosis",
                                                "run.max_versions=2", "clients.count=1"])
        rows = read_table(files[2])
        rows[6]["worst_area"] = "1o2"
        bad = self.folder / "bad.csv"
        write_table(bad, rows)
        for says, settings in [
                (['row 7 (line 8), column "worst_area": "1o2" is no number'], ["data.name=csv", f"data.file={bad}"]),
                (['data.name = "csv"', 'data.name = "mnist"'], []),
                (["data.file"], ["data.name=csv"]),
                (["nowhere.csv does not exist"], ["data.name=csv", "data.file=nowhere.csv"])]:
            client = self.client(server.port, "site", settings=settings)
            self.assertNotEqual(client.wait(), 0, client.output)
            for part in says:
                self.assertIn(part, client.output)
        for row in rows:
            del row["mean_radius"]
        write_table(bad, rows)
        client = self.client(server.port, "site", settings=["data.name=csv", f"data.file={bad}"])
        self.assertNotEqual(client.wait(), 0)
        self.assertIn('has no column "mean_radius"', client.output)
        good = self.client(server.port, "site", settings=["data.name=csv", f"data.file={files[2]}"])
        self.assertEqual(good.wait(), 0, good.output)
        self.assertEqual(server.wait(), 0, server.output)

    def test_settings_that_do_not_fit_say_so(self):
        folder = self.folder / "one"
        folder.mkdir()
        write_table(folder / "a.csv", read_table(TEST))
        for says, settings in [
                (["data.test_file", 'evaluate.where = "clients"'], ["--role", "aggregator", f"data.file={TEST}"]),
                (["parts of 3 clients", "clients.count is 5"], ["--role", "simulate", f"data.file={HOSPITALS}", "clients.count=5"]),
                (["takes samples of shape", "mlp_2nn"], ["--role", "simulate", f"data.file={TEST}", "model.name=simple_cnn"]),
                (['no column "outcome"', "data.target"], ["--role", "simulate", f"data.file={TEST}", "data.target=outcome"]),
                (['column "diagnosis": "', "is no number"], ["--role", "simulate", f"data.file={TEST}", "train.loss=mse"])]:
            role = settings[:2]
            code, output = self.run_node(*role, "--out", self.folder / "never",
                                         settings=["data.name=csv", "model.name=logistic", "net.port=0", *settings[2:]])
            self.assertEqual(code, 2, output)
            for part in says:
                self.assertIn(part, output)
            self.assertFalse((self.folder / "never" / "summary.json").exists())

    def test_predictions_of_a_run_are_those_of_its_model_in_python(self):
        out = self.folder / "run"
        code, output = self.run_node("--role", "simulate", "--out", out, settings=[
            *TABLE, "run.max_versions=4", f"data.file={HOSPITALS}", f"data.test_file={TEST}", "data.target=diagnosis"])
        self.assertEqual(code, 0, output)
        rows = read_table(TEST)
        rows[0]["mean_radius"] = ""  # unknown
        asked = self.folder / "asked.csv"
        write_table(asked, rows)
        done = subprocess.run([NODE, "predict", "--model", out, "--data", asked, "--probabilities"], capture_output=True,
                              text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = list(csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual(len(answers), len(rows))
        right = sum(answer["prediction"] == row["diagnosis"] for answer, row in zip(answers, rows))
        self.assertIn(f"accuracy {right / len(rows):.4f}", done.stderr)
        self.assertAlmostEqual(right / len(rows), self.summary(out)["final_accuracy"], delta=0.01)
        self.assertEqual([answer["target"] for answer in answers], [row["diagnosis"] for row in rows])
        if PYTHON:
            script = """
import csv, json, sys, torch
extra = {"fl_actor.json": ""}
model = torch.jit.load(sys.argv[1], _extra_files=extra)
schema = json.loads(extra["fl_actor.json"])["schema"]
rows = list(csv.DictReader(open(sys.argv[2])))
x = torch.tensor([[float(row[c["name"]] or "nan") for c in schema["columns"]] for row in rows])
print(json.dumps(torch.softmax(model(x), 1)[:, schema["classes"].index("malignant")].tolist()))
"""
            python = subprocess.run([PYTHON, "-c", script, out / "model.pt", asked], capture_output=True, text=True)
            self.assertEqual(python.returncode, 0, python.stderr)
            for answer, there in zip(answers, json.loads(python.stdout)):
                self.assertAlmostEqual(float(answer["p_malignant"]), there, 4)
        # Without the target, and what cannot be predicted from.
        for row in rows:
            del row["diagnosis"]
        write_table(asked, rows)
        code, output = self.run_node_bare("predict", "--model", out / "model.pt", "--data", asked, "--out", self.folder / "p.csv")
        self.assertEqual(code, 0, output)
        self.assertEqual(list(read_table(self.folder / "p.csv")[0]), ["row", "prediction", "probability"])
        rows[3]["worst_area"] = "?!"
        write_table(asked, rows)
        code, output = self.run_node_bare("predict", "--model", out, "--data", asked)
        self.assertEqual(code, 2)
        self.assertIn('row 4 (line 5), column "worst_area": "?!" is no number', output)
        code, output = self.run_node_bare("predict", "--model", asked, "--data", asked)
        self.assertEqual(code, 2)
        self.assertIn("cannot be read as TorchScript", output)

    def test_arrays_numbers_and_images(self):
        dice = random.Random(1)
        folder = self.folder / "arrays"
        folder.mkdir()
        for site in range(2):
            rows = [[dice.gauss(50, 9), dice.gauss(-3, 0.1)] for _ in range(80)]
            write_npz(folder / f"{site}.npz", rows, [int(a > 50) for a, _ in rows])
        out = self.folder / "npz"
        code, output = self.run_node("--role", "simulate", "--out", out, settings=[
            "data.name=npz", f"data.file={folder}", "model.name=logistic", "clients.count=2", "run.max_versions=20",
            "train.learning_rate=0.5"])
        self.assertEqual(code, 0, output)
        self.assertGreater(self.summary(out)["final_accuracy"], 0.9)

        numbers = self.folder / "prices.csv"
        rows = [{"rooms": a, "town": dice.choice("xy"), "price": 0} for a in range(1, 200)]
        for row in rows:
            row["price"] = 0.02 * row["rooms"] + (row["town"] == "x")
        write_table(numbers, rows)
        out = self.folder / "numbers"
        code, output = self.run_node("--role", "simulate", "--out", out, settings=[
            "data.name=csv", f"data.file={numbers}", "model.name=logistic", "train.loss=mse", "clients.count=2",
            "run.max_versions=40", "train.learning_rate=0.05"])
        self.assertEqual(code, 0, output)
        self.assertGreater(self.summary(out)["final_metrics"]["r2"], 0.99)
        code, output = self.run_node_bare("predict", "--model", out, "--data", numbers, "--out", self.folder / "p.csv")
        self.assertEqual(code, 0, output)
        self.assertIn("r2 1.0000", output)

        images = self.folder / "images"
        for label in ("dark", "light"):
            (images / label).mkdir(parents=True)
            for index in range(30):
                shades = [dice.randrange(100) + (120 if label == "light" else 0) for _ in range(64)]
                (images / label / f"{index}.png").write_bytes(png(8, 8, shades))
        out = self.folder / "photos"
        code, output = self.run_node("--role", "simulate", "--out", out, settings=[
            "data.name=images", f"data.file={images}", "model.name=logistic", "clients.count=3", "run.max_versions=10"])
        self.assertEqual(code, 0, output)
        self.assertEqual(self.summary(out)["final_accuracy"], 1)
        code, output = self.run_node_bare("predict", "--model", out, "--data", images / "light", "--out", self.folder / "q.csv")
        self.assertEqual(code, 0, output)
        self.assertEqual({row["prediction"] for row in read_table(self.folder / "q.csv")}, {"light"})

    def test_the_data_command_says_what_a_table_holds(self):
        code, output = self.run_node_bare("data", "--set", "data.name=csv", "--set", f"data.file={HOSPITALS}",
                                          "--set", "data.target=diagnosis")
        self.assertEqual(code, 0, output)
        for part in ("456 samples, 30 inputs, 2 classes", "3 files with 274, 136, 46 samples", '"malignant" 170', "worst_area"):
            self.assertIn(part, output)


if __name__ == "__main__":
    main()
