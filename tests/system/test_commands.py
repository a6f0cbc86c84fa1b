"""The commands for people on a real run: runs, inspect, export, config check, completions and the manual."""

import csv
import json
import struct
import subprocess

from federation import ECHO, FederationTest, NODE, main


class Commands(FederationTest):
    def say(self, *arguments, code=0):
        """Runs a command; returns what it said on stdout."""
        done = subprocess.run([str(NODE), *map(str, arguments)], capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(done.returncode, code, done.stderr)
        self.errors = done.stderr
        return done.stdout

    def test_a_run_from_all_sides(self):
        run = self.folder / "runs" / "first"
        settings = [*ECHO, "run.max_versions=4", "store.durability=update", "store.keep_updates=true",
                    "upload.codec=top_k:0.1+int8"]
        code, output = self.run_node("--role", "simulate", "--out", run, settings=settings)
        self.assertEqual(code, 0, output)
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and ".db" not in path.name}

        row, = json.loads(self.say("runs", "--json"))
        self.assertEqual((row["name"], row["state"], row["version"]), ("first", "completed", 4))
        self.assertIn("completed", self.say("runs", "runs"))

        report = json.loads(self.say("inspect", run, "--json"))
        self.assertEqual(len(report["known_clients"]), 3)
        for version in report["kept_versions"]:
            self.say("inspect", run / "checkpoints" / f"version-{version:08}.snapshot")
        update = json.loads(self.say("inspect", min((run / "updates").iterdir()), "--json"))
        self.assertEqual(update["delta (top_k:0.1+int8)"][0]["name"], "flat")

        self.say("export", run, "--out", "metrics.csv")
        with open(self.folder / "metrics.csv") as table:
            rows = list(csv.DictReader(table))
        metrics = self.metrics(run)
        self.assertEqual([int(row["version"]) for row in rows], [line["version"] for line in metrics])
        self.assertEqual([int(row["bytes_up"]) for row in rows], [line["bytes_up"] for line in metrics])
        accepted = [row for row in csv.DictReader(self.say("export", run, "--format", "updates-csv").splitlines())
                    if row["decision"] == "none"]
        self.assertEqual(len(accepted), self.summary(run)["updates_accepted"])

        # The newest version exported is the model that the run left.
        self.say("export", run, "--format", "safetensors", "--out", "model.safetensors")
        self.assertEqual((self.folder / "model.safetensors").read_bytes(), (run / "model.safetensors").read_bytes())
        self.say("export", run, "--format", "safetensors", "--out", "model.safetensors", code=2)
        self.assertIn("model.safetensors is there already", self.errors)
        self.say("export", run, "--format", "snapshot", "--version", 99, "--out", "x", code=2)
        self.assertIn("99", self.errors)

        after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and ".db" not in path.name}
        self.assertEqual(after, before, "looking at a run changed it")

        damaged = self.folder / "damaged.snapshot"
        whole = bytearray(max((run / "checkpoints").iterdir()).read_bytes())
        whole[-100] ^= 1
        damaged.write_bytes(whole)
        self.say("inspect", damaged, code=2)
        for text in [str(damaged), "parameters", "checksum"]:
            self.assertIn(text, self.errors)
        (self.folder / "foreign.safetensors").write_bytes(struct.pack("<Q", 1 << 40) + b"{}")
        self.say("inspect", "foreign.safetensors", code=2)
        self.assertIn("claims", self.errors)

    def test_configurations_are_checked_one_by_one(self):
        (self.folder / "good.toml").write_text("[run]\nseed = 2\n")
        (self.folder / "bad.toml").write_text("[train]\nepochs = -1\n")
        self.assertEqual(self.say("config", "check", "bad.toml", "good.toml", code=2), "good.toml: ok\n")
        for text in ["bad.toml:2", "train.epochs"]:
            self.assertIn(text, self.errors)

    def test_scripts_for_the_shell_and_the_manual(self):
        for shell in ["bash", "zsh"]:
            (self.folder / shell).write_text(self.say("completion", shell))
        subprocess.run(["bash", "-n", self.folder / "bash"], check=True)
        self.assertIn(".SH SYNOPSIS", self.say("man"))


if __name__ == "__main__":
    main()
