"""Real processes for system tests: starts fl_actor_node, waits for what it says, and ends what was started."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

NODE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release/fl_actor_node").resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]

# A wait that ends the test when it is over; nothing is measured by it.
PATIENCE_SECONDS = float(os.environ.get("FL_PATIENCE", "120"))

ECHO = ["train.backend=echo", "model.name=flat", "model.parameters=10000"]


class Node:
    """One running fl_actor_node; its log and output are read as they come."""

    def __init__(self, *arguments, settings=(), cwd=None, prefix=()):
        command = [*prefix, str(NODE), *map(str, arguments)]
        if "--role" in arguments:
            command.append("--no-progress")
        for setting in settings:
            command += ["--set", setting]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd
        )
        self.lines = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    @property
    def output(self):
        with self.changed:
            return "\n".join(self.lines)

    def wait_for(self, pattern, count=1):
        """Waits until so many lines match; returns the last match."""
        end = time.monotonic() + PATIENCE_SECONDS
        with self.changed:
            while True:
                found = [m for m in (re.search(pattern, line) for line in self.lines) if m]
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self.reader.is_alive()):
                    raise AssertionError(f"{pattern!r} did not come; the node said:\n" + "\n".join(self.lines))
                self.changed.wait(min(left, 0.5))

    def wait(self):
        """Waits for the end; returns the exit code."""
        code = self.process.wait(PATIENCE_SECONDS)
        self.reader.join(PATIENCE_SECONDS)
        return code

    def kill(self, which=signal.SIGKILL):
        self.process.send_signal(which)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


class FederationTest(unittest.TestCase):
    """A temporary folder and the nodes of one test."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fl_actor_test_")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, *arguments, settings=(), prefix=()):
        """`prefix` is a command to run the node by, such as ip netns exec."""
        node = Node(*arguments, settings=settings, cwd=ROOT, prefix=prefix)
        self.addCleanup(node.end)
        return node

    def run_node(self, *arguments, settings=()):
        """Runs to the end; returns (exit code, output)."""
        node = self.start(*arguments, settings=settings)
        code = node.wait()
        return code, node.output

    def run_node_bare(self, *arguments):
        """Runs a command that takes no --no-progress; returns (exit code, output)."""
        done = subprocess.run([str(NODE), *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_SECONDS)
        return done.returncode, done.stdout

    def aggregator(self, out, *arguments, port=0, settings=()):
        node = self.start("--role", "aggregator", "--port", port, "--out", out, *arguments, settings=settings)
        node.port = int(node.wait_for(r"listening at \S+:(\d+);").group(1))
        return node

    def client(self, port, name, *arguments, settings=()):
        return self.start("--role", "client", "--join", f"127.0.0.1:{port}", "--name", name, *arguments,
                          settings=settings)

    def summary(self, out):
        return json.loads((pathlib.Path(out) / "summary.json").read_text())

    def metrics(self, out):
        return [json.loads(line) for line in (pathlib.Path(out) / "metrics.jsonl").read_text().splitlines()]

    def wait_for_versions(self, node, out, count):
        """Waits until so many lines of metrics.jsonl are written."""
        end = time.monotonic() + PATIENCE_SECONDS
        path = pathlib.Path(out) / "metrics.jsonl"
        while not path.exists() or len(path.read_text().splitlines()) < count:
            self.assertIsNone(node.process.poll(), node.output)
            self.assertLess(time.monotonic(), end, "the versions did not come:\n" + node.output)
            time.sleep(0.02)

    def assert_versions_once(self, out):
        versions = [line["version"] for line in self.metrics(out)]
        self.assertEqual(versions, sorted(set(versions)), "metrics.jsonl holds a version twice or out of order")


def python_with_torch():
    """Debian's torch belongs to Debian's Python; None: no Python here has it."""
    for python in dict.fromkeys([sys.executable, "/usr/bin/python3"]):
        try:
            subprocess.run([python, "-c", "import torch"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            return python
        except (OSError, subprocess.CalledProcessError):
            pass
    return None


def main():
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
