"""A disk that is really full: a small file system of the test's own, filled by a ballast file.

New updates are refused visibly, nothing that was acknowledged is lost, and the run goes on when there is room.
"""

import subprocess
import time

from durability import SERVER, DurabilityTest
from federation import PATIENCE_SECONDS, main
from ledger import ACCEPTED

# Updates of 40 KB, snapshots of as much.
DISK_MB = 24


class SmallDisk:
    """A tmpfs of its own; None where mounting is not permitted."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "fl_actor_test", str(folder)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
        self.ballast = folder / "ballast"

    def fill(self, but_bytes=0):
        """Takes all room that is left but so many bytes."""
        with open(self.ballast, "ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
            if but_bytes:
                file.truncate(max(0, file.tell() - but_bytes))

    def free(self):
        self.ballast.unlink()

    def unmount(self):
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False)


class FullDisk(DurabilityTest):
    def setUp(self):
        super().setUp()
        self.disk = SmallDisk(self.folder / "disk")
        self.addCleanup(self.disk.unmount)
        if not self.disk.mounted:
            self.skipTest("mounting a small tmpfs is not permitted here")
        self.out = self.disk.folder / "run"

    def start_run(self, *settings):
        self.server = self.aggregator(self.out, settings=[*SERVER, *settings])
        self.start_clients(self.server.port)
        for client in self.clients:
            client.wait_for(ACCEPTED)

    def wait_until_nothing_is_accepted(self):
        """Until a second passes in which no client is told so."""
        end = time.monotonic() + PATIENCE_SECONDS
        before = None
        while (now := sum(map(self.heard, self.clients))) != before:
            self.assertLess(time.monotonic(), end, self.server.output)
            before = now
            time.sleep(1)

    def go_on(self):
        self.disk.free()
        self.stop_when_all_are_back(self.out, self.server)
        self.check_ledger(self.out)

    def test_updates_are_refused_visibly_and_go_on_when_there_is_room(self):
        self.start_run()
        self.disk.fill()
        for client in self.clients:
            # Told that there is no room; or, if its update was folded before, that the decision takes long.
            client.wait_for(r"the update of task \d+ waits: ")
        self.assertIn("No space left", self.clients[0].output + self.server.output)
        self.server.wait_for(r"no room for updates")
        self.wait_until_nothing_is_accepted()
        code, output = self.run_node_bare("status", f"127.0.0.1:{self.server.port}")
        self.assertEqual(code, 0, output)
        self.assertRegex(output, "no room")
        self.assertIsNone(self.server.process.poll())
        self.go_on()
        self.server.wait_for(r"there is room for updates again")

    def test_a_kill_while_the_disk_is_full_loses_nothing(self):
        self.start_run()
        self.disk.fill(but_bytes=100_000)
        self.wait_until_nothing_is_accepted()
        self.server.kill()
        self.server.wait()
        # Not even a start needs room that is not there, or it says what is missing.
        code, output = self.run_node("--role", "aggregator", "--port", 0, "--out", self.out, "--resume",
                                     settings=[*SERVER, "run.max_updates=1"])
        self.assertIn(code, (0, 1, 2), output)
        if code != 0:
            self.assertRegex(output, "No space left|disk is full|database or disk is full")
        self.disk.free()
        if code != 0:
            code, output = self.run_node("--role", "aggregator", "--port", 0, "--out", self.out, "--resume",
                                         settings=[*SERVER, "run.max_updates=1"])
            self.assertEqual(code, 0, output)
        for client in self.clients:
            client.end()
        self.check_ledger(self.out)

    def test_room_for_decisions_only_or_for_nothing_but_snapshots(self):
        """Whichever write is the first that finds no room, SQLite's or a snapshot's among them."""
        self.start_run("store.snapshot_every=1", "store.keep_updates=false")
        for left in (0, 4096, 20_000, 60_000, 130_000):
            self.disk.fill(left)
            self.wait_until_nothing_is_accepted()
            self.disk.free()
            for client in self.clients:
                self.wait_for_more(client)
        self.stop_when_all_are_back(self.out, self.server)
        code, output = self.run_node_bare("replay", self.out)
        self.assertEqual(code, 0, output)
        self.assertIn(self.summary(self.out)["model_sha256"], output)
        self.assert_versions_once(self.out)
        versions = [line["version"] for line in self.metrics(self.out)]
        self.assertEqual(versions, list(range(versions[0], versions[-1] + 1)), "metrics.jsonl lacks a version")

    def test_store_max_bytes_is_such_a_limit_too(self):
        self.start_run("store.max_bytes=2000000")
        self.server.wait_for(r"no room for updates")
        self.assertIn("store.max_bytes = 2000000", self.server.output)
        self.wait_until_nothing_is_accepted()
        self.server.kill()
        self.server.wait()
        # A higher limit is room.
        server = self.aggregator(self.out, "--resume", port=self.server.port,
                                 settings=[*SERVER, "store.max_bytes=0"])
        self.stop_when_all_are_back(self.out, server)
        self.check_ledger(self.out)


if __name__ == "__main__":
    main()
