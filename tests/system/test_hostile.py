"""Real clients that misbehave beside honest ones: each is refused for what it did and quarantined in the end, and the
run is what the honest ones made of it."""

import signal
import subprocess

from federation import ECHO, NODE, ROOT, FederationTest, main

ATTACKER = NODE.parent / "attacker"

# What each attack is refused for; whoever is quarantined has offended validate.strikes times.
ATTACKS = {
    "nan": "not_finite",
    "norm": "norm_too_large",
    "samples": "bad_claim",
    "histogram": "bad_claim",
    "layout": "layout_mismatch",
    "garbage": "corrupt_data",
    "length": "wrong_length",
    "chunk": "flood",
    "offers": "flood",
    "fetches": "flood",
    "hellos": "flood",
    "requests": "flood",
}
STRIKES = 4
HONEST = 3
SERVER = [*ECHO, "run.max_versions=0", "strategy.buffer_size=3", "store.keep_updates=true", "clients.minimum=1",
          f"validate.strikes={STRIKES}", "validate.max_update_norm=10",
          "validate.max_requests_per_second=2000"]
CLIENT = [*ECHO, "train.echo_seconds=0.05"]


class Hostile(FederationTest):
    def attack(self, port, name, attack):
        process = subprocess.Popen([str(ATTACKER), str(port), name, attack], cwd=ROOT, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def finish(self, process):
        """Waits for an attacker; returns the reasons that it was refused for."""
        output, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, output[-4000:])
        return [line.split(" ")[0] for line in output.splitlines()]

    def test_every_attack_is_refused_and_costs_the_others_nothing(self):
        out = self.folder / "run"
        server = self.aggregator(out, settings=[*SERVER, f"clients.count={HONEST + len(ATTACKS)}"])
        honest = [self.client(server.port, f"honest-{i}", "--out", self.folder / f"honest-{i}", settings=CLIENT)
                  for i in range(HONEST)]
        attackers = {attack: self.attack(server.port, f"bad-{attack}", attack) for attack in ATTACKS}
        for attack, process in attackers.items():
            reasons = self.finish(process)
            # Who floods may be cut off before it is told why; the log says so.
            self.assertTrue(ATTACKS[attack] in reasons or
                            f"bad-{attack} is quarantined: {ATTACKS[attack]}" in server.output, (attack, reasons))
            self.assertEqual(reasons[-1], "quarantined", attack)
        code, output = self.run_node_bare("status", out)
        self.assertEqual(code, 0, output)
        self.assertIn(f"{len(ATTACKS)} quarantined", output)
        for client in honest:
            client.wait_for("accepted", 3)
        code, output = self.run_node_bare("stop", out)
        self.assertEqual(code, 0, output)
        self.assertEqual(server.wait(), 0, server.output)
        for i, client in enumerate(honest):
            self.assertEqual(client.wait(), 0, client.output)
            rejected = self.summary(self.folder / f"honest-{i}")["updates_rejected"]
            self.assertLessEqual(set(rejected), {"run_over"}, client.output)

        summary = self.summary(out)
        self.assertEqual(summary["quarantined"], sorted(f"bad-{attack}" for attack in ATTACKS))
        expected = {}
        for reason in ATTACKS.values():
            expected[reason] = expected.get(reason, 0) + STRIKES
        counted = {reason: count for reason, count in summary["updates_rejected"].items() if reason in expected}
        # Floods of hellos are counted as strikes only: they come before there is a session.
        expected["flood"] -= STRIKES
        self.assertEqual(counted, expected)
        self.assertEqual(summary["restarts"], 0, server.output)
        for attack in ATTACKS:
            self.assertIn(f"bad-{attack}", server.output)
        self.assertLess(len(server.lines), 1000, "the log was flooded")
        code, output = self.run_node_bare("replay", out)
        self.assertEqual(code, 0, output)
        self.assertIn(summary["model_sha256"], output)

    def test_a_quarantine_outlives_the_server_until_the_pardon(self):
        out = self.folder / "run"
        settings = [*SERVER, "clients.count=3"]
        server = self.aggregator(out, settings=settings)
        honest = self.client(server.port, "honest", settings=CLIENT)
        self.assertIn("not_finite", self.finish(self.attack(server.port, "bad", "nan")))
        server.kill(signal.SIGKILL)
        server.wait()
        server = self.aggregator(out, "--resume", port=server.port, settings=settings)
        self.assertEqual(self.finish(self.attack(server.port, "bad", "nan")), ["quarantined"])

        # A client that runs this program is told, and ends.
        refused = self.client(server.port, "bad", settings=CLIENT)
        self.assertEqual(refused.wait(), 1, refused.output)
        self.assertIn("quarantined", refused.output)
        self.assertIn("not_finite", refused.output)
        self.assertIn("pardon", refused.output)

        code, output = self.run_node_bare("pardon", out, "honest")
        self.assertEqual(code, 2, output)
        code, output = self.run_node_bare("pardon", out, "bad")
        self.assertEqual(code, 0, output)
        pardoned = self.client(server.port, "bad", settings=CLIENT)
        pardoned.wait_for("accepted")
        code, output = self.run_node_bare("stop", out)
        self.assertEqual(code, 0, output)
        for node in (server, honest, pardoned):
            self.assertEqual(node.wait(), 0, node.output)
        self.assertEqual(self.summary(out)["quarantined"], [])

    def test_a_run_whose_clients_are_all_quarantined_says_so(self):
        node = self.start("--role", "simulate", "--out", self.folder / "run",
                          settings=[*ECHO, "clients.count=2", "run.max_versions=0", "validate.strikes=2",
                                    "validate.max_update_norm=1e-9"])
        node.wait_for(r"all 2 clients are quarantined: .*pardon")
        node.kill(signal.SIGTERM)
        self.assertEqual(node.wait(), 130, node.output)
        self.assertEqual(node.output.count("clients are quarantined"), 1)


if __name__ == "__main__":
    main()
