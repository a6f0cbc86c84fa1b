"""What must hold of every run with store.durability = "update", whatever happened to its processes and its network."""

import re
import sqlite3
import time
from contextlib import closing

from federation import FederationTest

ACCEPTED = re.compile(r"update of task (\d+) from version \d+ accepted")


class LedgerTest(FederationTest):
    def check_ledger(self, out, clients):
        """No acknowledged update is missing, none is there twice, and the ledger gives the model of the summary.

        `clients` are all processes that took part, the run is over and was kept with store.keep_updates.
        """
        accepted = {int(found.group(1)) for client in clients for found in map(ACCEPTED.search, client.lines) if found}
        with closing(sqlite3.connect(f"file:{out / 'run.db'}?mode=ro", uri=True)) as database:
            ledger = [row[0] for row in database.execute("SELECT task FROM updates WHERE number IS NOT NULL")]
        self.assertEqual(len(ledger), len(set(ledger)), "an update was applied twice")
        self.assertEqual(accepted - set(ledger), set(), "acknowledged updates are missing")
        summary = self.summary(out)
        self.assertEqual(summary["updates_accepted"], len(ledger))
        code, output = self.run_node_bare("replay", out)
        self.assertEqual(code, 0, output)
        self.assertIn(summary["model_sha256"], output)
        self.assert_versions_once(out)

    def wait_for_more(self, client, more=1):
        """Waits until so many more updates of this client are accepted."""
        heard = sum(1 for line in client.lines if ACCEPTED.search(line))
        client.wait_for(ACCEPTED, heard + more)

    def rate_of(self, clients, seconds):
        """Accepted updates a second of these clients together."""
        def count():
            return sum(1 for client in clients for line in client.lines if ACCEPTED.search(line))

        begun, before = time.monotonic(), count()
        time.sleep(seconds)
        return (count() - before) / (time.monotonic() - begun)

    def stop(self, out, server, clients):
        """Ends the run in order; every client is told and leaves."""
        code, output = self.run_node_bare("stop", out)
        self.assertEqual(code, 0, output)
        self.assertEqual(server.wait(), 0, server.output)
        for client in clients:
            self.assertEqual(client.wait(), 0, client.output)
