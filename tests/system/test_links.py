"""Bad connections between real processes, made by the proxy of these tests (proxy.py): slow, silent, cut, refused.

  test_links.py NODE              short, for every change
  FL_CAMPAIGN=1 test_links.py …   the campaign: connections cut at 300 places, longer runs, rates printed
"""

import os
import random
import time

from federation import PATIENCE_SECONDS, main
from ledger import ACCEPTED, LedgerTest
from proxy import DOWN, UP, Proxy

CAMPAIGN = bool(os.environ.get("FL_CAMPAIGN"))
SEED = int(os.environ.get("FL_SEED", str(random.randrange(1 << 30))))

ECHO = ["train.backend=echo", "model.name=flat", "model.parameters=1"]  # the server says how many there really are
SERVER = ["train.backend=echo", "model.name=flat", "run.max_versions=0", "strategy.buffer_size=1",
          "clients.minimum=1", "store.keep_updates=true"]
CLIENT = [*ECHO, "net.backoff_min_s=0.02", "net.backoff_max_s=0.2"]
# For frozen connections: noticed after a second or two.
IMPATIENT = ["net.heartbeat_s=0.2", "net.connection_timeout_s=1.5", "net.request_timeout_s=5"]

# The most that is under way unacknowledged: chunks in flight times the largest chunk (actors/flow_control.hpp).
IN_FLIGHT_BYTES = 8 * (512 << 10)
# Hello, leases, heartbeats, headers of messages.
TALK_BYTES = 128 << 10


class Links(LedgerTest):
    def proxy(self, server):
        proxy = Proxy(server.port)
        self.addCleanup(proxy.close)
        return proxy

    def wait_for_ended(self, proxy, count):
        ended = proxy.wait_until(lambda p: sum(1 for c in p.connections if c.ended) >= count, PATIENCE_SECONDS)
        self.assertTrue(ended, f"only {len(proxy.connections)} connections of {count} came; FL_SEED={SEED}")

    def test_a_connection_cut_at_a_random_byte_of_every_phase(self):
        parameters, cuts = 100_000, 300 if CAMPAIGN else 30
        out = self.folder / "run"
        server = self.aggregator(out, settings=[*SERVER, f"model.parameters={parameters}"])
        proxy = self.proxy(server)
        client = self.client(proxy.port, "cut", "--out", self.folder / "cut", settings=CLIENT)
        client.wait_for(ACCEPTED, 3)
        # An exchange is one model down and one update up. Of the cuts one in three comes while the client is
        # introduced and asks, the others anywhere in one and a half exchanges.
        chance = random.Random(SEED)
        for index in range(cuts):
            end = 3000 if index % 3 == 0 else 6 * parameters
            proxy.cut_next(chance.choice((UP, DOWN)), chance.randrange(end))
        before = len(proxy.connections)
        proxy.cut()
        self.wait_for_ended(proxy, before + cuts)
        self.wait_for_more(client)
        self.stop(out, server, [client])
        self.check_ledger(out, [client])
        # Whatever is lost with a connection is what was under way.
        updates = self.summary(out)["updates_accepted"]
        self.assertLess(proxy.passed(UP), (updates + 2) * 4 * parameters * 1.1 + (cuts + 2) * (4 * parameters + TALK_BYTES))

    def test_downloads_and_uploads_go_on_where_they_were(self):
        size, cut_at = 20_000_000, 12_000_000
        out = self.folder / "run"
        server = self.aggregator(out, settings=[*SERVER, f"model.parameters={size // 4}", "run.max_updates=1"])
        proxy = self.proxy(server)
        proxy.cut_next(DOWN, cut_at)
        proxy.cut_next(UP, cut_at)
        client = self.client(proxy.port, "cut", "--out", self.folder / "cut", settings=CLIENT)
        self.assertEqual(server.wait(), 0, server.output)
        self.assertEqual(client.wait(), 0, client.output)
        self.check_ledger(out, [client])
        passed = [connection.passed for connection in proxy.connections]
        self.assertEqual(len(passed), 3, passed)
        rest = size - cut_at + IN_FLIGHT_BYTES + TALK_BYTES
        self.assertLess(passed[1][DOWN], rest, f"the download began anew: {passed}")
        self.assertLess(passed[2][DOWN], TALK_BYTES, f"the base was sent again: {passed}")
        self.assertLess(passed[2][UP], rest, f"the upload began anew: {passed}")

    def test_an_upload_goes_on_after_a_restart_of_either_side(self):
        size, kill_at = 20_000_000, 12_000_000
        settings = [*SERVER, f"model.parameters={size // 4}", "run.max_updates=1"]
        out = self.folder / "run"
        server = self.aggregator(out, settings=settings)
        proxy = self.proxy(server)
        proxy.bytes_per_s = 20e6  # so that the kill comes in the middle
        client = self.client(proxy.port, "cut", "--out", self.folder / "cut", settings=CLIENT)
        self.assertTrue(proxy.wait_until(lambda p: p.passed(UP) >= kill_at // 2, PATIENCE_SECONDS))
        client.kill()
        client.wait()
        client = self.client(proxy.port, "cut", "--out", self.folder / "cut", settings=CLIENT)
        self.assertTrue(proxy.wait_until(lambda p: p.passed(UP) >= kill_at, PATIENCE_SECONDS))
        server.kill()
        server.wait()
        server = self.aggregator(out, "--resume", port=server.port, settings=settings)
        self.assertEqual(server.wait(), 0, server.output)
        self.assertEqual(client.wait(), 0, client.output)
        self.check_ledger(out, [client])
        again = proxy.passed(UP) - size
        self.assertLess(again, 2 * IN_FLIGHT_BYTES + TALK_BYTES, "more than what was under way was sent again")

    def test_a_slow_and_late_link_is_slow_and_nothing_else(self):
        """200 ms and 5 Mbit/s, an update of 4.8 MB, all settings of time and network as they are by default."""
        updates = 6 if CAMPAIGN else 1
        settings = ["train.backend=echo", "model.name=flat", "model.parameters=1200000", "run.max_versions=0",
                    "strategy.buffer_size=1", "clients.minimum=1", "store.keep_updates=true"]
        out = self.folder / "run"
        server = self.aggregator(out, settings=settings)
        proxy = self.proxy(server)
        proxy.delay_s, proxy.bytes_per_s = 0.2, 5e6 / 8
        fast = [self.client(server.port, f"fast{i}", "--out", self.folder / f"fast{i}",
                            settings=[*ECHO, "train.echo_seconds=0.5"]) for i in range(2)]
        for client in fast:
            client.wait_for(ACCEPTED)
        alone = self.rate_of(fast, 20) if CAMPAIGN else None
        slow = self.client(proxy.port, "slow", "--out", self.folder / "slow", settings=ECHO)
        self.assertTrue(proxy.wait_until(lambda p: p.passed(UP) > 1_000_000, PATIENCE_SECONDS))
        for client in fast:
            self.wait_for_more(client, 2)
        self.assertFalse(any(ACCEPTED.search(line) for line in slow.lines), "the link was not slow")
        if CAMPAIGN:
            beside = self.rate_of(fast, 20)
            print(f"\nupdates/s of the fast clients: {alone:.2f} alone, {beside:.2f} beside the slow one, "
                  f"ratio {beside / alone:.2f}")
        slow.wait_for(ACCEPTED, updates)
        self.stop(out, server, [*fast, slow])
        self.check_ledger(out, [*fast, slow])
        for name in ("slow", "fast0", "fast1"):
            self.assertEqual(self.summary(self.folder / name)["reconnects"], 0, name)

    def test_a_connection_that_goes_silent_is_left_and_made_again(self):
        out = self.folder / "run"
        server = self.aggregator(out, settings=[*SERVER, *IMPATIENT, "model.parameters=100000"])
        proxy = self.proxy(server)
        client = self.client(proxy.port, "silent", "--out", self.folder / "silent", settings=[*CLIENT, *IMPATIENT])
        client.wait_for(ACCEPTED)
        for count in range(1, 4 if CAMPAIGN else 2):
            proxy.stall()
            # Also those attempts that are made while it is silent come to nothing, and do no harm.
            client.wait_for(r"trying again", count)
            proxy.flow()
            self.wait_for_more(client, 2)
        self.stop(out, server, [client])
        self.check_ledger(out, [client])

    def test_a_connection_forgotten_on_the_way_is_replaced(self):
        """The client notices first; the server still believes in the old connection when the new one comes."""
        out = self.folder / "run"
        server = self.aggregator(out, settings=[*SERVER, "net.heartbeat_s=0.5", "net.connection_timeout_s=6",
                                                "model.parameters=100000"])
        proxy = self.proxy(server)
        client = self.client(proxy.port, "forgotten", "--out", self.folder / "forgotten",
                             settings=[*CLIENT, *IMPATIENT])
        client.wait_for(ACCEPTED)
        proxy.forget()
        begun = time.monotonic()
        client.wait_for(r"trying again")
        self.wait_for_more(client, 2)
        if CAMPAIGN:
            print(f"\na forgotten connection was replaced after {time.monotonic() - begun:.1f} s "
                  "(the client's timeout is 1.5 s, the server's 6 s)")
        # The server gives the old connection up, which must not harm the new one for long.
        time.sleep(max(0, begun + 8 - time.monotonic()))
        self.wait_for_more(client, 2)
        if CAMPAIGN:
            print(f"after {time.monotonic() - begun:.1f} s it still goes on: {len(proxy.connections)} connections")
        self.stop(out, server, [client])
        self.check_ledger(out, [client])

    def test_a_server_that_refuses_for_too_long_ends_the_client_with_the_reason(self):
        out = self.folder / "run"
        server = self.aggregator(out, settings=[*SERVER, "model.parameters=1000"])
        proxy = self.proxy(server)
        client = self.client(proxy.port, "refused", settings=[*CLIENT, "net.reconnect_seconds=1"])
        client.wait_for(ACCEPTED)
        proxy.refuses = True
        proxy.cut()
        self.assertEqual(client.wait(), 1, client.output)
        self.assertIn("net.reconnect_seconds = 1", client.output)
        self.assertIn("no aggregator answers", client.output)


if __name__ == "__main__":
    main()
