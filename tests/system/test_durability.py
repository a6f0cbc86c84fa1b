"""store.durability = "update" with real processes: killed at random moments, nothing that was acknowledged is lost.

  test_durability.py NODE            a few kills, for every change
  FL_KILLS=100 test_durability.py …  the campaign: so many kills of the aggregator, half as many of clients
"""

import os
import time

from durability import CLIENT, SEED, SERVER, DurabilityTest
from federation import main
from ledger import ACCEPTED

KILLS = int(os.environ.get("FL_KILLS", "6"))


class Durability(DurabilityTest):
    def kill_server(self, server, out, settings):
        """Dead and there again, at the same port."""
        server.kill()
        server.wait()
        server.end()
        return self.aggregator(out, "--resume", port=server.port, settings=settings)

    def kill_client(self, port, index):
        victim = self.clients[index]
        victim.kill()
        victim.wait()
        self.note_accepted(victim)
        victim.end()
        self.clients[index] = self.client(port, f"c{index}", "--out", self.folder / f"c{index}", settings=CLIENT)

    def report(self, what, out, acknowledged):
        summary = self.summary(out)
        size = sum(file.stat().st_size for file in (out / "updates").iterdir())
        print(f"{what}: {summary['updates_accepted']} updates in version {summary['model_version']}, "
              f"{acknowledged} heard of by clients, {size / 1e6:.1f} MB in the ledger, model_sha256 of the "
              f"summary = of the replay, FL_SEED={SEED}", flush=True)

    def kill_servers(self, settings):
        out = self.folder / "run"
        server = self.aggregator(out, settings=settings)
        self.start_clients(server.port)
        for _ in range(KILLS):
            time.sleep(self.random.uniform(0.02, 0.6))
            server = self.kill_server(server, out, settings)
        self.stop_when_all_are_back(out, server)
        for client in self.clients:
            self.assertEqual(client.wait(), 0, client.output)
        self.report(f"{KILLS} kills of the aggregator", out, self.check_ledger(out))

    def test_an_aggregator_killed_at_random_moments_loses_nothing(self):
        self.kill_servers(SERVER)

    def test_a_synchronous_aggregator_killed_at_random_moments_loses_nothing(self):
        self.kill_servers([*SERVER, "strategy.name=fedavg"])

    def kill_clients(self, settings):
        out = self.folder / "run"
        server = self.aggregator(out, settings=settings)
        self.start_clients(server.port)
        kills = max(2, KILLS // 2)
        for _ in range(kills):
            time.sleep(self.random.uniform(0.02, 0.4))
            self.kill_client(server.port, self.random.randrange(4))
        self.stop_when_all_are_back(out, server)
        self.report(f"{kills} kills of clients", out, self.check_ledger(out))

    def test_clients_killed_at_random_moments_lose_nothing(self):
        self.kill_clients(SERVER)

    def test_clients_of_a_synchronous_run_killed_at_random_moments_lose_nothing(self):
        self.kill_clients([*SERVER, "strategy.name=fedavg", "schedule.rejoin_s=1"])

    def kill_both(self, settings):
        out = self.folder / "run"
        server = self.aggregator(out, settings=settings)
        self.start_clients(server.port)
        kills = max(4, KILLS // 2)
        for _ in range(kills):
            time.sleep(self.random.uniform(0.02, 0.4))
            if self.random.random() < 0.5:
                server = self.kill_server(server, out, settings)
            else:
                self.kill_client(server.port, self.random.randrange(4))
        self.stop_when_all_are_back(out, server)
        self.report(f"{kills} kills of either side", out, self.check_ledger(out))

    def test_both_sides_killed_at_random_moments_lose_nothing(self):
        self.kill_both(SERVER)

    def test_both_sides_of_a_synchronous_run_killed_at_random_moments_lose_nothing(self):
        self.kill_both([*SERVER, "strategy.name=fedavg", "schedule.rejoin_s=1"])

    def test_a_run_that_began_without_a_ledger_goes_on_with_one(self):
        out = self.folder / "run"
        settings = [*SERVER, "strategy.buffer_size=3", "store.snapshot_every=1000000"]
        server = self.aggregator(out, settings=[*settings, "store.durability=snapshot"])
        self.start_clients(server.port)
        self.stop_when_all_are_back(out, server)
        begun_with = self.summary(out)["updates_accepted"]
        for client in self.clients:
            client.end()
        server = self.aggregator(out, "--resume", settings=[*settings, "store.durability=update"])
        self.start_clients(server.port)
        for client in self.clients:
            client.wait_for(ACCEPTED, 2)
        server = self.kill_server(server, out, [*settings, "store.durability=update"])
        self.stop_when_all_are_back(out, server)
        self.assertGreater(self.summary(out)["updates_accepted"], begun_with)
        code, output = self.run_node_bare("replay", out)
        self.assertEqual(code, 0, output)
        self.assertIn(self.summary(out)["model_sha256"], output)

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
