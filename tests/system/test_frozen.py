"""Processes that stand still (SIGSTOP) and go on later: clients, and the server.

  test_frozen.py NODE              short, with lowered timeouts, for every change
  FL_CAMPAIGN=1 test_frozen.py …   the campaign: 20 s at the default timeouts too, and rates printed
"""

import os
import signal
import time

from federation import main
from ledger import ACCEPTED, LedgerTest

CAMPAIGN = bool(os.environ.get("FL_CAMPAIGN"))

ECHO = ["train.backend=echo", "model.name=flat", "model.parameters=10000"]
SERVER = [*ECHO, "run.max_versions=0", "clients.count=3", "store.keep_updates=true", "log.level=debug"]
CLIENT = [*ECHO, "net.backoff_min_s=0.05", "net.backoff_max_s=0.5"]
IMPATIENT = ["net.heartbeat_s=0.2", "net.connection_timeout_s=1.5", "net.request_timeout_s=5"]
LATE = "(accepted|refused: |is withdrawn: )"


class Frozen(LedgerTest):
    def start_run(self, server_settings, client_settings, count=3):
        self.out = self.folder / "run"
        self.server = self.aggregator(self.out, settings=[*SERVER, *server_settings])
        self.clients = [self.client(self.server.port, f"c{i}", "--out", self.folder / f"c{i}",
                                    settings=[*CLIENT, *client_settings]) for i in range(count)]
        for client in self.clients:
            client.wait_for(ACCEPTED)

    def end_run(self):
        self.stop(self.out, self.server, self.clients)
        self.check_ledger(self.out, self.clients)

    def freeze(self, node):
        node.kill(signal.SIGSTOP)
        self.addCleanup(lambda: node.process.poll() is None and node.kill(signal.SIGCONT))

    def thaw(self, node):
        node.kill(signal.SIGCONT)

    def test_a_frozen_client_is_noticed_and_its_task_passes_on(self):
        self.start_run([*IMPATIENT, "schedule.rejoin_s=0.5", "strategy.buffer_size=1"],
                       [*IMPATIENT, "train.echo_seconds=1", "log.level=debug"])
        victim, others = self.clients[1], self.clients[:1] + self.clients[2:]
        # In the midst of a task that it has begun: of one that it has only been given it would have nothing to say.
        victim.wait_for("trains for task", sum("trains for task" in line for line in victim.lines) + 1)
        self.freeze(victim)
        frozen_at = time.monotonic()
        self.server.wait_for(r"c1 has left")
        noticed_s = time.monotonic() - frozen_at
        lost = self.server.wait_for(r"task (\d+) of client \d+ is lost: the client vanished")
        for client in others:
            self.wait_for_more(client, 3)
        self.thaw(victim)
        # Its late update is answered, one way or the other, and it works on.
        victim.wait_for(rf"task {lost.group(1)} .*{LATE}")
        self.wait_for_more(victim, 2)
        if CAMPAIGN:
            print(f"\nnoticed after {noticed_s:.1f} s (net.connection_timeout_s = 1.5, net.heartbeat_s = 0.2)")
        self.end_run()

    def test_a_cohort_closes_without_a_frozen_client(self):
        self.start_run([*IMPATIENT, "schedule.rejoin_s=0.5", "strategy.name=fedavg"],
                       [*IMPATIENT, "train.echo_seconds=0.1"])
        victim = self.clients[1]
        self.freeze(victim)
        self.server.wait_for(r"task \d+ of client \d+ is lost: the client vanished")
        self.wait_for_versions(self.server, self.out, len(self.metrics(self.out)) + 3)
        self.thaw(victim)
        self.wait_for_more(victim, 2)
        self.end_run()

    def test_a_frozen_server_loses_no_client(self):
        timings = [(IMPATIENT, None)]
        if CAMPAIGN:
            timings = [(IMPATIENT, 20), ([], 20)]
        for index, (settings, seconds) in enumerate(timings):
            with self.subTest(settings=settings, seconds=seconds):
                self.folder = self.folder / str(index)
                self.folder.mkdir()
                self.start_run([*settings, "strategy.buffer_size=2"], [*settings, "train.echo_seconds=0.1"])
                self.freeze(self.server)
                if seconds is None:
                    for client in self.clients:
                        client.wait_for("trying again")
                else:
                    time.sleep(seconds)
                self.thaw(self.server)
                for client in self.clients:
                    self.wait_for_more(client, 2)
                    self.assertIsNone(client.process.poll(), client.output)
                self.end_run()

    def test_clients_come_before_the_server_and_stay_through_its_deaths(self):
        self.start_run(["strategy.buffer_size=2"], ["train.echo_seconds=0.05"], count=1)
        port = self.server.port
        self.stop(self.out, self.server, self.clients)
        early = [self.client(port, f"early{i}", "--out", self.folder / f"early{i}",
                             settings=[*CLIENT, "train.echo_seconds=0.05"]) for i in range(3)]
        for client in early:
            client.wait_for("no aggregator answers")
        out = self.folder / "second"
        settings = [*SERVER, "strategy.buffer_size=2"]
        server = self.aggregator(out, port=port, settings=settings)
        for _ in range(5 if CAMPAIGN else 2):
            for client in early:
                self.wait_for_more(client)
            server.kill()
            server.wait()
            server = self.aggregator(out, "--resume", port=port, settings=settings)
        for client in early:
            self.wait_for_more(client)
        self.stop(out, server, early)
        self.check_ledger(out, early)

    def test_the_rate_falls_by_the_frozen_clients_share(self):
        if not CAMPAIGN:
            self.skipTest("a measurement: only with FL_CAMPAIGN=1")
        self.start_run([*IMPATIENT, "schedule.rejoin_s=0.5", "strategy.buffer_size=1", "clients.count=5"],
                       [*IMPATIENT, "train.echo_seconds=0.5"], count=5)
        before = self.rate_of(self.clients, 20)
        self.freeze(self.clients[2])
        self.server.wait_for(r"task \d+ of client \d+ is lost: the client vanished")
        after = self.rate_of(self.clients, 20)
        self.thaw(self.clients[2])
        self.wait_for_more(self.clients[2])
        back = self.rate_of(self.clients, 20)
        print(f"\nupdates/s {before:.2f} with five clients, {after:.2f} with one frozen (ratio {after / before:.2f}, "
              f"expected 0.80), {back:.2f} when it is back (ratio {back / before:.2f})")
        self.end_run()


if __name__ == "__main__":
    main()
