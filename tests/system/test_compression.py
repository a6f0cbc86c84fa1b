"""Coded updates and models between real processes: the same bits as in one process, and nothing lost that was left out.

  test_compression.py NODE            short, for every change
  FL_KILLS=1 test_compression.py …    the client dies at each of its first writes
"""

import array
import os
import random
import signal
import struct

from federation import FederationTest, main
from safetensors_reader import read_safetensors

SEED = int(os.environ.get("FL_SEED", str(random.randrange(1 << 30))))
FULL = "FL_KILLS" in os.environ

LEARNING = ["strategy.name=fedavg", "model.name=logistic", "data.name=synthetic_logistic", "run.max_versions=6",
            "clients.count=3", "train.steps=5"]
ECHO = ["train.backend=echo", "model.name=flat", "model.parameters=1"]  # the server says how many there really are
DELTA = 1e-6  # of every parameter in every update of the echo trainer


def floats(content):
    values = array.array("f")
    values.frombytes(content)
    return values


def read_residual(path):
    """The only array of an envelope (messages/fl.proto): magic, length and checksum of the header, header, padding."""
    content = path.read_bytes()
    assert content[:8] == b"FLACTOR1"
    header = struct.unpack("<I", content[8:12])[0]
    return floats(content[(16 + header + 63) // 64 * 64:])


class Compression(FederationTest):
    def simulate(self, *settings):
        out = self.folder / f"simulation-{len(list(self.folder.iterdir()))}"
        code, output = self.run_node("--role", "simulate", "--out", out, settings=[*LEARNING, *settings])
        self.assertEqual(code, 0, output)
        return self.summary(out)

    def federate(self, *settings):
        out = self.folder / f"run-{len(list(self.folder.iterdir()))}"
        server = self.aggregator(out, settings=[*LEARNING, *settings])
        clients = [self.client(server.port, f"client-{index}", "--out", self.folder / f"{out.name}-{index}",
                               settings=["data.name=synthetic_logistic"]) for index in range(3)]
        self.assertEqual(server.wait(), 0, server.output)
        for client in clients:
            self.assertEqual(client.wait(), 0, client.output)
        self.outputs = [client.output for client in clients]
        return self.summary(out)

    def test_a_network_gives_the_bits_of_a_simulation(self):
        plain = self.simulate()
        for settings in (["download.codec=xor"],
                         ["upload.codec=top_k:0.1+int8+zstd"],
                         ["upload.codec=int4", "download.codec=top_k:0.3+int8"],
                         ["upload.codec=sign", "download.codec=int8+zstd", "upload.warmup_versions=0"],
                         ["upload.codec=random_k:0.5+int8", "download.codec=bf16"],
                         ["upload.codec=top_k:0.05", "upload.warmup_versions=3", "upload.momentum=0.5"],
                         ["train.prune_ratio=0.8", "train.prune_every=1", "train.prune_versions=4",
                          "upload.codec=int8"]):
            simulated, federated = self.simulate(*settings), self.federate(*settings)
            self.assertEqual(simulated["model_sha256"], federated["model_sha256"], settings)
            # Counted at the socket, or as what would have passed it: the headers differ by some bytes.
            for direction in ("bytes_up", "bytes_down"):
                self.assertAlmostEqual(simulated[direction], federated[direction], delta=0.02 * plain[direction])
            self.assertLess(simulated["bytes_up"] + simulated["bytes_down"], plain["bytes_up"] + plain["bytes_down"])
            if settings == ["download.codec=xor"]:
                self.assertEqual(simulated["model_sha256"], plain["model_sha256"])

    def test_what_was_left_out_arrives_once_whenever_the_client_dies(self):
        # Every update is the same delta, so what the model has and what the client has left add up to the number of
        # updates, in every parameter.
        size = 1000
        out, folder = self.folder / "run", self.folder / "victim"
        server = self.aggregator(out, settings=[
            "train.backend=echo", "model.name=flat", f"model.parameters={size}", "clients.minimum=1",
            "run.max_versions=0", "strategy.name=fedbuff", "strategy.buffer_size=1", "strategy.staleness=constant",
            "upload.codec=top_k:0.1+fp16"])
        settings = [*ECHO, "net.backoff_min_s=0.02", "net.backoff_max_s=0.2"]
        steps = list(range(1, 60))
        if not FULL:
            steps = random.Random(SEED).sample(steps, 10)
        for step in steps:
            client = self.client(server.port, "victim", "--out", folder,
                                 settings=[*settings, f'chaos.crash=["process@write={step}"]'])
            self.assertEqual(client.wait(), -signal.SIGKILL, client.output)
            self.assertNotIn("refused", client.output)
            client.end()
        client = self.client(server.port, "victim", "--out", folder, settings=settings)
        client.wait_for(r"accepted", 30)
        server.kill(signal.SIGTERM)
        self.assertEqual(server.wait(), 130, server.output)
        client.wait_for(r"trying again")
        client.kill(signal.SIGTERM)
        client.wait()
        (_, _, content), = read_safetensors(out / "model.safetensors")[0].values()
        model = floats(content)
        residuals = list((folder / "spool").glob("*.residual"))
        self.assertEqual(len(residuals), 1, residuals)
        left = read_residual(residuals[0])
        accepted = self.summary(out)["updates_accepted"]
        arrived = [round((model[index] + left[index]) / DELTA, 1) for index in range(size)]
        # Of updates that the server refused because it was ending the client has all left; so it has of one that was
        # finished then and not delivered.
        refused = client.output.count("refused: run_over")
        self.assertIn(set(map(round, arrived)), ({accepted + refused}, {accepted + refused + 1}), f"FL_SEED={SEED}")

    def test_a_delta_too_small_to_send_waits_for_the_next(self):
        plain = self.federate()
        lazy = self.federate("train.max_idle_deltas=1", "train.idle_below=0.999")
        self.assertEqual(lazy["model_version"], plain["model_version"])
        waiting = sum(output.count("is small and waits for the next") for output in self.outputs)
        self.assertGreater(waiting, 0, self.outputs)
        # What waited is sent with the next: fewer updates made as many versions.
        self.assertEqual(lazy["updates_accepted"], plain["updates_accepted"] - waiting)
        self.assertLess(lazy["bytes_up"], plain["bytes_up"])


if __name__ == "__main__":
    main()
