"""What must hold of every run with store.durability = "update", whatever happened to its processes and its network."""

import re
import sqlite3
import time
from contextlib import closing

from federation import FederationTest

ACCEPTED = re.compile(r"update of task (\d+) from version \d+ accepted")


class LedgerTest(FederationTest):
    def setUp(self):
        super().setUp()
        self.accepted = set()

    def note_accepted(self, client):
        """Remembers what this process was told, also when it is replaced by another."""
        self.accepted |= {int(found.group(1)) for found in map(ACCEPTED.search, client.lines) if found}

    def check_committed(self, out, clients, when=""):
        """No acknowledged update is missing, none is there twice, none was left out; also in the midst of a run."""
        for client in clients:
            self.note_accepted(client)
        with closing(sqlite3.connect(f"file:{out / 'run.db'}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT number, task FROM updates WHERE number IS NOT NULL ORDER BY number").fetchall()
        tasks = [task for _, task in rows]
        self.assertEqual(len(tasks), len(set(tasks)), f"an update was applied twice {when}")
        self.assertEqual([number for number, _ in rows], list(range(1, len(rows) + 1)), f"an update is left out {when}")
        self.assertEqual(self.accepted - set(tasks), set(), f"acknowledged updates are missing {when}")
        return tasks

    def check_ledger(self, out, clients, when=""):
        """As `check_committed`, and the ledger gives the model of the summary. Returns how many were acknowledged.

        `clients` are the processes that took part, those noted before aside; the run is over and was kept with
        store.keep_updates.
        """
        tasks = self.check_committed(out, clients, when)
        summary = self.summary(out)
        self.assertEqual(summary["updates_accepted"], len(tasks), when)
        code, output = self.run_node_bare("replay", out)
        self.assertEqual(code, 0, f"{when}\n{output}")
        self.assertIn(summary["model_sha256"], output, when)
        self.assert_versions_once(out)
        acknowledged = len(self.accepted)
        self.accepted.clear()  # a test may go on with another run
        return acknowledged

    def heard(self, client):
        """Updates that this process was told are accepted."""
        return sum(1 for line in client.lines if ACCEPTED.search(line))

    def wait_for_more(self, client, more=1):
        """Waits until so many more updates of this client are accepted."""
        client.wait_for(ACCEPTED, self.heard(client) + more)

    def rate_of(self, clients, seconds):
        """Accepted updates a second of these clients together."""
        def count():
            return sum(map(self.heard, clients))

        begun, before = time.monotonic(), count()
        time.sleep(seconds)
        return (count() - before) / (time.monotonic() - begun)

    def end_server(self, out, server):
        """Ends the run in order."""
        code, output = self.run_node_bare("stop", out)
        self.assertEqual(code, 0, output)
        self.assertEqual(server.wait(), 0, server.output)

    def stop(self, out, server, clients):
        """Ends the run in order; every client is told and leaves."""
        self.end_server(out, server)
        for client in clients:
            self.assertEqual(client.wait(), 0, client.output)
