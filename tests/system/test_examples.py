"""The examples' pages, command by command as they are written, with less work.

  test_examples.py NODE                 as for every change
  FL_EXAMPLES=full test_examples.py …   as the pages say, and the figures that come out
"""

import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import unittest

from federation import NODE, ROOT, FederationTest, main

FULL = os.environ.get("FL_EXAMPLES") == "full"
PATIENCE_SECONDS = 3600 if FULL else 240

# Appended to a page's commands that contain the first.
LESS = {
    "medical": [("--role simulate", "--set run.max_versions=5"), ("--role aggregator", "--set run.max_versions=5")],
    "finance": [("make_payments.py", "--payments 3000"), ("--role simulate", "--set run.max_versions=10")],
    "iot": [("make_sensors.py", "--sensors 30 --windows 10"),
            ("--role simulate", "--set run.max_versions=5 --set clients.count=30 --set strategy.buffer_size=5")],
    "handwriting": [("--role simulate", "--set run.max_versions=1 --set train.steps=2")],
    "text": [("--role simulate", "--set run.max_versions=1 --set train.steps=1 --set data.test_fraction=0.01 "
                                 "--set data.text_length=10")],
}


def commands_of(page):
    """The lines of its sh blocks; a backslash goes on with the next line."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@unittest.skipIf(os.environ.get("FL_WITHOUT_TORCH"), "built without torch")
class Examples(FederationTest):
    def run_page(self, name):
        shutil.copytree(ROOT / "examples", self.folder / "examples",
                        ignore=lambda _, names: [n for n in names if n in ("banks", "sensors")])
        (self.folder / "data").symlink_to(ROOT / "data")
        port = free_port()  # instead of the usual one
        environment = dict(os.environ, PATH=f"{NODE.parent}:{os.environ['PATH']}")
        background = []
        commands = commands_of(ROOT / "examples" / name / "README.md")
        self.assertTrue(commands, "the page has no commands")
        for command in commands:
            waits = command.endswith(" &")
            command = command.removesuffix(" &")
            if not FULL:
                command = " ".join([command, *(more for contains, more in LESS[name] if contains in command)])
            command = command.replace("--join localhost", f"--join localhost:{port}")
            command = command.replace("--role aggregator", f"--role aggregator --port {port}")
            arguments = shlex.split(command)
            if "--role" in arguments:
                arguments.append("--no-progress")
            process = subprocess.Popen(arguments, cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT)
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.kill)
            if waits:
                background.append((command, process))
            else:
                output, _ = process.communicate(timeout=PATIENCE_SECONDS)
                self.assertEqual(process.returncode, 0, f"{command}\n{output}")
                if FULL:
                    print(f"\n$ {command}\n{output}")
        for command, process in background:
            output, _ = process.communicate(timeout=PATIENCE_SECONDS)
            self.assertEqual(process.returncode, 0, f"{command}\n{output}")
        return self.folder / "runs"

    def test_medical(self):
        runs = self.run_page("medical")
        self.assertGreater(self.summary(runs / "medical")["final_accuracy"], 0.9)

    def test_finance(self):
        runs = self.run_page("finance")
        self.assertIn("auprc", self.summary(runs / "finance")["final_metrics"])

    def test_iot(self):
        runs = self.run_page("iot")
        self.assertGreater(self.summary(runs / "iot")["final_accuracy"], 0.3)

    def test_handwriting(self):
        if not any((ROOT / "data/mnist").glob("train-images*")):
            self.skipTest("no MNIST here (scripts/fetch_mnist.sh)")
        self.run_page("handwriting")

    def test_text(self):
        if not pathlib.Path("/usr/share/common-licenses/GPL-3").exists():
            self.skipTest("no text here that the page names")
        self.run_page("text")


if __name__ == "__main__":
    main()
