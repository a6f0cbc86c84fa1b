"""What the tests of store.durability = "update" with real processes share."""

import os
import random
import re
import sqlite3
from contextlib import closing

from federation import ECHO, FederationTest

SEED = int(os.environ.get("FL_SEED", str(random.randrange(1 << 30))))

SERVER = [*ECHO, "clients.count=4", "strategy.buffer_size=2", "run.max_versions=0", "store.keep_updates=true",
          "store.snapshot_every=7", "clients.minimum=1"]
CLIENT = [*ECHO, "net.backoff_max_s=0.2", "train.echo_seconds=0.02"]
ACCEPTED = re.compile(r"update of task (\d+) from version \d+ accepted")


class DurabilityTest(FederationTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.accepted = set()

    def note_accepted(self, client):
        self.accepted |= {int(found.group(1)) for found in map(ACCEPTED.search, client.lines) if found}

    def check_ledger(self, out):
        """No acknowledged update is missing, none is there twice, and the ledger gives the model of the summary."""
        for client in self.clients:
            self.note_accepted(client)
        with closing(sqlite3.connect(f"file:{out / 'run.db'}?mode=ro", uri=True)) as database:
            ledger = [row[0] for row in database.execute("SELECT task FROM updates WHERE number IS NOT NULL")]
        self.assertEqual(len(ledger), len(set(ledger)), f"an update was applied twice (FL_SEED={SEED})")
        self.assertEqual(self.accepted - set(ledger), set(), f"acknowledged updates are missing (FL_SEED={SEED})")
        summary = self.summary(out)
        self.assertEqual(summary["updates_accepted"], len(ledger))
        code, output = self.run_node_bare("replay", out)
        self.assertEqual(code, 0, f"FL_SEED={SEED}\n{output}")
        self.assertIn(summary["model_sha256"], output)
        self.assert_versions_once(out)

    def start_clients(self, port, count=4):
        self.clients = [self.client(port, f"c{i}", "--out", self.folder / f"c{i}", settings=CLIENT)
                        for i in range(count)]

    def stop_when_all_are_back(self, out, server):
        for client in self.clients:
            heard = sum(1 for line in client.lines if ACCEPTED.search(line))
            client.wait_for(ACCEPTED, heard + 1)
        code, output = self.run_node_bare("stop", out)
        self.assertEqual(code, 0, output)
        self.assertEqual(server.wait(), 0, server.output)
