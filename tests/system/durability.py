"""What the tests that kill processes, or take the disk's room away, share."""

import os
import random

from federation import ECHO
from ledger import LedgerTest

SEED = int(os.environ.get("FL_SEED", str(random.randrange(1 << 30))))

SERVER = [*ECHO, "clients.count=4", "strategy.buffer_size=2", "run.max_versions=0", "store.keep_updates=true",
          "store.snapshot_every=7", "clients.minimum=1"]
CLIENT = [*ECHO, "net.backoff_max_s=0.2", "train.echo_seconds=0.02"]


class DurabilityTest(LedgerTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.clients = []

    def check_ledger(self, out, when=""):
        return super().check_ledger(out, self.clients, f"(FL_SEED={SEED}) {when}")

    def start_clients(self, port, count=4):
        self.clients = [self.client(port, f"c{i}", "--out", self.folder / f"c{i}", settings=CLIENT)
                        for i in range(count)]

    def stop_when_all_are_back(self, out, server):
        for client in self.clients:
            self.wait_for_more(client)
        self.end_server(out, server)
