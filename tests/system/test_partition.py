"""Two machines on one: network namespaces joined by a veth pair that can be taken down or made slow.

Needs root (ip netns, tc); skipped where that is not permitted.

  test_partition.py NODE              a short partition with lowered timeouts, for every change
  FL_CAMPAIGN=1 test_partition.py …   the campaign: 30 s at the default timeouts too, larger updates on the slow link
"""

import itertools
import os
import subprocess
import time

from federation import NODE, PATIENCE_SECONDS, ROOT, main
from ledger import ACCEPTED, LedgerTest

CAMPAIGN = bool(os.environ.get("FL_CAMPAIGN"))

ECHO = ["train.backend=echo", "model.name=flat", "model.parameters=100000"]
SERVER = [*ECHO, "run.max_versions=0", "clients.count=3", "strategy.buffer_size=1", "store.keep_updates=true",
          "net.allow_plaintext=true"]
CLIENT = [*ECHO, "net.backoff_min_s=0.05", "net.backoff_max_s=1", "train.echo_seconds=0.05",
          "net.allow_plaintext=true"]
IMPATIENT = ["net.heartbeat_s=0.2", "net.connection_timeout_s=1.5", "net.request_timeout_s=5"]
NUMBERS = itertools.count()


class Partition(LedgerTest):
    def setUp(self):
        super().setUp()
        # At most 15 letters: the limit of an interface's name.
        unique = f"fl{os.getpid() % 1000000}n{next(NUMBERS)}"
        self.near, self.far = unique + "a", unique + "b"
        self.near_address, far_address = "10.213.77.1", "10.213.77.2"
        for namespace in (self.near, self.far):
            added = subprocess.run(["ip", "netns", "add", namespace], capture_output=True, text=True)
            if added.returncode != 0:
                self.skipTest("network namespaces are not permitted here: " + added.stderr.strip())
            # With it goes the interface in it, and the peer of that.
            self.addCleanup(subprocess.run, ["ip", "netns", "del", namespace], check=False)
        self.ip("link", "add", self.near, "netns", self.near, "type", "veth", "peer", "name", self.far, "netns", self.far)
        for namespace, address in ((self.near, self.near_address), (self.far, far_address)):
            self.ip("-n", namespace, "addr", "add", address + "/24", "dev", namespace)
            self.ip("-n", namespace, "link", "set", "lo", "up")
            self.ip("-n", namespace, "link", "set", namespace, "up")

    def ip(self, *arguments):
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"ip {' '.join(arguments)}: {done.stderr.strip()}")

    def within(self, namespace):
        return ["ip", "netns", "exec", namespace]

    def run_node_bare(self, *arguments):
        done = subprocess.run([*self.within(self.near), str(NODE), *map(str, arguments)], cwd=ROOT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_SECONDS)
        return done.returncode, done.stdout

    def start_run(self, settings=(), client_settings=()):
        self.out = self.folder / "run"
        self.server = self.start("--role", "aggregator", "--bind", self.near_address, "--port", 0, "--out", self.out,
                                 settings=[*SERVER, *settings], prefix=self.within(self.near))
        port = self.server.wait_for(r"listening at \S+:(\d+);").group(1)
        self.clients = [
            self.start("--role", "client", "--join", f"{self.near_address}:{port}", "--name", name, "--out",
                       self.folder / name, settings=[*CLIENT, *client_settings], prefix=self.within(namespace))
            for name, namespace in (("near", self.near), ("far0", self.far), ("far1", self.far))]
        for client in self.clients:
            client.wait_for(ACCEPTED)

    def test_a_partition_heals_without_loss(self):
        for index, (settings, seconds) in enumerate([(IMPATIENT, 30), ([], 30), ([], 75)] if CAMPAIGN else [(IMPATIENT, 3)]):
            with self.subTest(settings=settings, seconds=seconds):
                self.folder = self.folder / str(index)
                self.folder.mkdir()
                self.start_run(settings, settings)
                near, *far = self.clients
                # Seen from the near side nothing comes any more; the far side has no way to anyone.
                self.ip("-n", self.far, "link", "set", self.far, "down")
                begun = time.monotonic()
                if settings:
                    for client in far:
                        client.wait_for("trying again")
                    # Who is on this side of it goes on.
                    self.wait_for_more(near, 2)
                time.sleep(max(0, begun + seconds - time.monotonic()))
                self.ip("-n", self.far, "link", "set", self.far, "up")
                for client in far:
                    self.wait_for_more(client, 2)
                if CAMPAIGN:
                    print(f"\na partition of {seconds} s: all were back {time.monotonic() - begun - seconds:.1f} s later")
                self.stop(self.out, self.server, self.clients)
                self.check_ledger(self.out, self.clients)

    def test_a_link_of_5_mbit_disconnects_nobody(self):
        for namespace in (self.near, self.far):
            limited = subprocess.run(["tc", "-n", namespace, "qdisc", "add", "dev", namespace, "root", "tbf", "rate",
                                      "5mbit", "burst", "32kbit", "latency", "400ms"], capture_output=True, text=True)
            if limited.returncode != 0:
                self.skipTest("tc tbf is not permitted here: " + limited.stderr.strip())
        parameters = 1_200_000 if CAMPAIGN else 300_000
        self.start_run([f"model.parameters={parameters}"])
        self.stop(self.out, self.server, self.clients)
        self.check_ledger(self.out, self.clients)
        for name in ("near", "far0", "far1"):
            self.assertEqual(self.summary(self.folder / name)["reconnects"], 0, name)


if __name__ == "__main__":
    main()
