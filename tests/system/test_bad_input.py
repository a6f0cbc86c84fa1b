"""Bad input: each a clear error that names it and says what to do, exit 2, and nothing half-written."""

import os
import socket
import struct
import unittest

from federation import ECHO, FederationTest, main


def idx(kind, dimensions, payload):
    return struct.pack(">I", 0x800 | len(dimensions)) + struct.pack(f">{len(dimensions)}I", *dimensions) + payload


class RefusalTest(FederationTest):
    def refused(self, *arguments, settings=(), says=()):
        """The node ends with 2, says these things, and leaves no trace at --out."""
        out = self.folder / "run"
        before = sorted(self.folder.rglob("*"))
        code, output = self.run_node(*arguments, "--out", out, settings=settings)
        self.assertEqual(code, 2, output)
        for text in says:
            self.assertIn(text, output)
        self.assertEqual(sorted(self.folder.rglob("*")), before, "something was half-written")

    def simulate(self, *settings, says, config=None):
        arguments = ["--role", "simulate"] + (["--config", config] if config else [])
        self.refused(*arguments, settings=settings, says=says)


class BadInput(RefusalTest):
    def test_unknown_key_names_the_nearest(self):
        self.simulate("train.learning_rat=0.1", says=["train.learning_rat", "train.learning_rate"])
        config = self.folder / "bad.toml"
        config.write_text("[train]\nepochs = 1\nbatchsize = 3\n")
        self.simulate(config=config, says=["train.batchsize", "bad.toml", "3", "train.batch_size"])

    def test_wrong_type(self):
        self.simulate("train.epochs=many", says=["train.epochs", "many"])

    def test_negative_buffer(self):
        self.simulate("strategy.buffer_size=-1", says=["strategy.buffer_size", "-1"])

    def test_speeds_of_other_clients(self):
        self.simulate("clients.count=3", "clients.speed_list=1,2", says=["clients.speed_list", "3"])

    def test_chaos_that_does_not_exist(self):
        self.simulate(*ECHO, "chaos.crash=aggregator@noon", says=["aggregator@noon", "aggregator@version=3"])

    def test_unwritable_out(self):
        blocked = self.folder / "file"
        blocked.write_text("not a folder")
        code, output = self.run_node("--role", "simulate", "--out", blocked / "run", settings=ECHO)
        self.assertEqual(code, 2, output)
        self.assertIn(str(blocked), output)

    def test_unresolvable_host(self):
        code, output = self.run_node("--role", "client", "--join", "no-such-host.invalid", settings=ECHO)
        self.assertEqual(code, 2, output)
        self.assertIn("no-such-host.invalid", output)

    def test_plain_text_beyond_loopback(self):
        self.refused("--role", "aggregator", "--bind", "0.0.0.0", settings=ECHO, says=["net.allow_plaintext"])

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.refused("--role", "aggregator", "--port", port, settings=ECHO, says=[str(port), "in use", "--port"])

    def test_second_process_and_finished_run(self):
        out = self.folder / "run"
        server = self.aggregator(out, settings=ECHO)
        code, output = self.run_node("--role", "aggregator", "--port", 0, "--out", out, "--resume", settings=ECHO)
        self.assertEqual(code, 2, output)
        self.assertIn(str(server.process.pid), output)
        server.kill()
        server.wait()
        code, output = self.run_node("--role", "simulate", "--out", out, settings=ECHO)
        self.assertEqual(code, 2, output)
        self.assertIn("--resume", output)

    def test_resume_of_another_model(self):
        out = self.folder / "run"
        code, output = self.run_node("--role", "simulate", "--out", out, settings=[*ECHO, "run.max_versions=2"])
        self.assertEqual(code, 0, output)
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        code, output = self.run_node("--role", "simulate", "--out", out, "--resume",
                                     settings=[*ECHO, "model.parameters=5", "run.max_versions=9"])
        self.assertEqual(code, 2, output)
        for text in ["model.parameters", "10000", "5"]:
            self.assertIn(text, output)
        self.assertEqual({path: path.read_bytes() for path in out.rglob("*") if path.is_file()}, before)


@unittest.skipIf(os.environ.get("FL_WITHOUT_TORCH"), "built without torch")
class BadData(RefusalTest):
    def mnist(self, **changes):
        """A folder of tiny but right IDX files, with some replaced (bytes) or missing (None)."""
        folder = self.folder / "data"
        folder.mkdir()
        files = {
            "train-images-idx3-ubyte": idx("images", [20, 28, 28], bytes(20 * 784)),
            "train-labels-idx1-ubyte": idx("labels", [20], bytes(i % 10 for i in range(20))),
            "t10k-images-idx3-ubyte": idx("images", [10, 28, 28], bytes(10 * 784)),
            "t10k-labels-idx1-ubyte": idx("labels", [10], bytes(range(10))),
        }
        files |= {name.replace("_", "-"): content for name, content in changes.items()}
        for name, content in files.items():
            if content is not None:
                (folder / name).write_bytes(content)
        return f"data.dir={folder}"

    def test_missing_idx(self):
        self.simulate(self.mnist(train_labels_idx1_ubyte=None), says=["train-labels-idx1-ubyte", "fetch_mnist.sh"])

    def test_truncated_idx(self):
        whole = idx("images", [20, 28, 28], bytes(20 * 784))
        self.simulate(self.mnist(train_images_idx3_ubyte=whole[:-100]), says=["train-images-idx3-ubyte"])

    def test_wrong_magic(self):
        self.simulate(self.mnist(t10k_images_idx3_ubyte=b"GIF89a" + bytes(1000)), says=["t10k-images-idx3-ubyte", "magic"])

    def test_more_shards_than_data(self):
        self.simulate(self.mnist(), "data.partition=shards", "data.shards_per_client=50", says=["shards", "20"])

    def test_more_clients_than_data(self):
        self.simulate(self.mnist(), "clients.count=21", says=["21", "20"])


if __name__ == "__main__":
    main()
