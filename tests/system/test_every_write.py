"""Killed at every write: the N-th life of a process dies at its N-th step at which something reaches the disk.

  test_every_write.py NODE            as many as fit into a short time, spread over all, for every change
  FL_KILLS=1 test_every_write.py …    every single one, and with what a power cut leaves of unflushed files
"""

import itertools
import os
import random
import re
import signal
import sqlite3
import time
from contextlib import closing

from durability import CLIENT, SEED, SERVER, DurabilityTest
from federation import main
from ledger import ACCEPTED

FULL = "FL_KILLS" in os.environ
# Of a life that works: its start, several commits and snapshots. Short runs stop when their time is over.
LAST_STEP = 300
SHORT_SECONDS = 15


def dying(settings, step):
    return [*settings, f'chaos.crash=["process@write={step}"]']


def living(settings):
    return [*settings, "chaos.crash=[]"]


class EveryWrite(DurabilityTest):
    def setUp(self):
        super().setUp()
        self.died_at = "nowhere"

    def steps(self, last):
        """1, 2, 3 …; in a short run some of them, others each time, until its time is over."""
        if FULL:
            yield from range(1, last + 1)
            return
        end = time.monotonic() + SHORT_SECONDS
        chosen = list(range(1, last + 1))
        self.random.shuffle(chosen)
        yield from itertools.takewhile(lambda _: time.monotonic() < end, chosen)

    def live_until_death(self, out, step, port, settings=SERVER):
        """A life of the server that ends by itself, or by its N-th step; True: by the step."""
        server = self.start("--role", "aggregator", "--port", port, "--out", out, "--resume",
                            settings=dying(settings, step))
        code = server.wait()
        server.end()
        if code == -signal.SIGKILL:
            self.died_at = re.search(r"chaos: (process@write=.*)", server.output).group(1)
            return True
        self.assertEqual(code, 0, server.output)
        return False

    def cut_power(self, out):
        """What a power cut may leave: files that were not flushed hold less, or anything; half a write at the end."""
        for file in [*(out / "spool").glob("*.part"), *out.glob("**/*.tmp"), *out.glob("run.db-shm")]:
            content = bytearray(file.read_bytes())
            choice = self.random.randrange(3)
            if choice == 0:
                content = content[:self.random.randrange(len(content) + 1)]
            elif choice == 1 and content:
                at = self.random.randrange(len(content))
                content[at:] = bytes(len(content) - at)
            file.write_bytes(content)
        wal = out / "run.db-wal"
        if wal.exists() and wal.stat().st_size > 32 + 4120:
            # The next commit, as far as it came: a page like the last one, cut somewhere.
            content = wal.read_bytes()
            wal.write_bytes(content + content[-4120:][:self.random.randrange(1, 4120)])
        snapshots = sorted((out / "checkpoints").glob("*.snapshot"))
        if snapshots:
            (out / "checkpoints" / "version-99999999.snapshot.tmp").write_bytes(
                snapshots[-1].read_bytes()[:self.random.randrange(1, 1000)])
        if (out / "updates").is_dir():
            (out / "updates" / "0000999999.update").write_bytes(self.random.randbytes(100))

    def kill_server_at_every_write(self, settings, power_cuts):
        out = self.folder / "run"
        server = self.aggregator(out, settings=living(settings))
        port = server.port
        self.start_clients(port)
        server.wait_for(r"is connected|listening")
        server.kill()
        server.wait()
        deaths = 0
        for step in self.steps(LAST_STEP):
            deaths += self.live_until_death(out, step, port, settings)
            if power_cuts:
                self.cut_power(out)
            if (out / "run.db").exists():
                self.check_committed(out, self.clients, self.died_at)
        # The end of a run, too: until a life goes through.
        with closing(sqlite3.connect(f"file:{out / 'run.db'}?mode=ro", uri=True)) as database:
            done = database.execute("SELECT max(number) FROM updates").fetchone()[0] or 0
        ending = [*settings, f"run.max_updates={done + 1}"]
        step = 0
        while self.live_until_death(out, step := step + (1 if FULL else self.random.randrange(1, 12)), port, ending):
            deaths += 1
            if power_cuts:
                self.cut_power(out)
        for client in self.clients:
            client.end()  # who was away when the run ended waits for ever
        self.check_ledger(out)
        updates = self.summary(out)["updates_accepted"]
        print(f"server: {deaths} deaths, {updates} updates, FL_SEED={SEED}", flush=True)

    def test_a_server_that_dies_at_every_write_loses_nothing(self):
        self.kill_server_at_every_write(SERVER, False)

    def test_a_server_that_loses_power_at_every_write_loses_nothing(self):
        self.kill_server_at_every_write(SERVER, True)

    def test_a_synchronous_server_that_dies_at_every_write_loses_nothing(self):
        self.kill_server_at_every_write([*SERVER, "strategy.name=fedavg"], False)

    def test_a_client_that_dies_at_every_write_loses_nothing(self):
        out = self.folder / "run"
        server = self.aggregator(out, settings=SERVER)
        self.start_clients(server.port, 1)
        self.clients[0].wait_for(ACCEPTED)
        victim = self.folder / "victim"
        deaths = 0
        for step in self.steps(60):
            dead = self.client(server.port, "victim", "--out", victim, settings=dying(CLIENT, step))
            self.assertEqual(dead.wait(), -signal.SIGKILL, dead.output)
            dead.end()
            self.note_accepted(dead)
            deaths += 1
        self.clients.append(self.client(server.port, "victim", "--out", victim, settings=CLIENT))
        self.stop_when_all_are_back(out, server)
        self.check_ledger(out)
        print(f"client: {deaths} deaths, {self.summary(out)['updates_accepted']} updates, FL_SEED={SEED}", flush=True)


if __name__ == "__main__":
    main()
