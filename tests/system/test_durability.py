"""store.durability = "update" with real processes: killed at random moments, nothing that was acknowledged is lost.

  test_durability.py NODE            a few kills, for every change
  FL_KILLS=100 test_durability.py …  the campaign: so many kills of the aggregator, half as many of clients
"""

import os
import random
import re
import sqlite3
import time

from federation import ECHO, FederationTest, main

KILLS = int(os.environ.get("FL_KILLS", "6"))
SEED = int(os.environ.get("FL_SEED", str(random.randrange(1 << 30))))

SERVER = [*ECHO, "clients.count=4", "strategy.buffer_size=2", "run.max_versions=0", "store.keep_updates=true",
          "store.snapshot_every=7", "clients.minimum=1"]
CLIENT = [*ECHO, "net.backoff_max_s=0.2", "train.echo_seconds=0.02"]
ACCEPTED = re.compile(r"update of task (\d+) from version \d+ accepted")


class Durability(FederationTest):
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
        with sqlite3.connect(f"file:{out / 'run.db'}?mode=ro", uri=True) as database:
            ledger = [row[0] for row in database.execute("SELECT task FROM updates WHERE number IS NOT NULL")]
        self.assertEqual(len(ledger), len(set(ledger)), "an update was applied twice")
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

    def test_an_aggregator_killed_at_random_moments_loses_nothing(self):
        out = self.folder / "run"
        server = self.aggregator(out, settings=SERVER)
        port = server.port
        self.start_clients(port)
        for _ in range(KILLS):
            time.sleep(self.random.uniform(0.02, 0.6))
            server.kill()
            server.wait()
            server = self.aggregator(out, "--resume", port=port, settings=SERVER)
        self.stop_when_all_are_back(out, server)
        for client in self.clients:
            self.assertEqual(client.wait(), 0, client.output)
        self.check_ledger(out)

    def test_clients_killed_at_random_moments_lose_nothing(self):
        out = self.folder / "run"
        server = self.aggregator(out, settings=SERVER)
        self.start_clients(server.port)
        for _ in range(max(2, KILLS // 2)):
            time.sleep(self.random.uniform(0.02, 0.4))
            index = self.random.randrange(4)
            victim = self.clients[index]
            victim.kill()
            victim.wait()
            self.note_accepted(victim)
            self.clients[index] = self.client(server.port, f"c{index}", "--out", self.folder / f"c{index}",
                                              settings=CLIENT)
        self.stop_when_all_are_back(out, server)
        self.check_ledger(out)

    def test_replay_without_a_client_and_until_a_version(self):
        out = self.folder / "run"
        server = self.aggregator(out, settings=[*SERVER, "run.max_updates=40"])
        self.start_clients(server.port)
        self.assertEqual(server.wait(), 0, server.output)
        self.check_ledger(out)
        code, output = self.run_node_bare("replay", out, "--until", "5")
        self.assertEqual(code, 0, output)
        self.assertRegex(output, r"version +5\n")
        code, output = self.run_node_bare("replay", out, "--without", "c1")
        self.assertEqual(code, 0, output)
        self.assertNotIn(self.summary(out)["model_sha256"], output)
        code, output = self.run_node_bare("replay", out, "--without", "nobody")
        self.assertEqual(code, 2, output)
        self.assertIn("nobody", output)
        kept = sorted((out / "updates").glob("*.update"))
        damaged = bytearray(kept[3].read_bytes())
        damaged[-1] ^= 1
        kept[3].write_bytes(damaged)
        code, output = self.run_node_bare("replay", out)
        self.assertEqual(code, 1, output)
        self.assertIn(kept[3].name, output)


if __name__ == "__main__":
    main()
