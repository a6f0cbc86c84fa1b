"""Aggregator and clients as processes over loopback: training, killed clients, a killed aggregator."""

import os
import signal
import unittest

from federation import ECHO, FederationTest, main

SMALL = ["data.name=synthetic_digits", "data.synthetic_train=1200", "data.synthetic_test=400",
         "model.name=logistic", "clients.count=3", "train.learning_rate=0.05"]
CLIENT = ["data.name=synthetic_digits", "data.synthetic_train=1200", "data.synthetic_test=400",
          "net.backoff_max_s=0.5"]
ECHO_CLIENT = [*ECHO, "net.backoff_max_s=0.5"]


class Network(FederationTest):
    @unittest.skipIf(os.environ.get("FL_WITHOUT_TORCH"), "built without torch")
    def test_three_clients_train_the_same_model_as_a_simulation(self):
        sync = [*SMALL, "strategy.name=fedavg", "run.max_versions=3"]
        server = self.aggregator(self.folder / "network", settings=sync)
        # One after the other, so that each gets the index that its namesake has in the simulation.
        clients = []
        for index in range(3):
            clients.append(self.client(server.port, f"client-{index}", "--out", self.folder / f"client-{index}",
                                       settings=CLIENT))
            clients[-1].wait_for(r"training on \d+ samples")
        self.assertEqual(server.wait(), 0, server.output)
        for client in clients:
            self.assertEqual(client.wait(), 0, client.output)
        code, output = self.run_node("--role", "simulate", "--out", self.folder / "simulation", settings=sync)
        self.assertEqual(code, 0, output)
        network, simulation = self.summary(self.folder / "network"), self.summary(self.folder / "simulation")
        self.assertEqual(network["model_sha256"], simulation["model_sha256"])
        self.assertEqual(self.summary(self.folder / "client-1")["updates_accepted"], 3)

    def test_a_killed_client_comes_back(self):
        out = self.folder / "run"
        server = self.aggregator(out, settings=[*ECHO, "clients.count=2", "run.max_updates=60", "run.max_versions=0",
                                                "log.level=debug"])
        steady = self.client(server.port, "steady", settings=[*ECHO_CLIENT, "train.echo_seconds=0.1"])
        server.wait_for(r"steady joins as client 0")
        victim = self.client(server.port, "victim", settings=[*ECHO_CLIENT, "train.echo_seconds=0.1"])
        server.wait_for(r"update of victim .* accepted", 2)
        victim.kill()
        victim.wait()
        server.wait_for(r"victim has left")
        again = self.client(server.port, "victim", settings=[*ECHO_CLIENT, "train.echo_seconds=0.1"])
        server.wait_for(r"victim joins as client 1")
        self.assertEqual(server.wait(), 0, server.output)
        self.assertEqual(again.wait(), 0, again.output)
        self.assertEqual(steady.wait(), 0, steady.output)
        self.assertEqual(self.summary(out)["updates_accepted"], 60)

    def test_a_killed_aggregator_goes_on_from_its_snapshot(self):
        out = self.folder / "run"
        settings = [*ECHO, "clients.count=3", "run.max_versions=60", "strategy.buffer_size=1"]
        server = self.aggregator(out, settings=settings)
        clients = [self.client(server.port, f"c{i}", settings=[*ECHO_CLIENT, "train.echo_seconds=0.05"]) for i in range(3)]
        self.wait_for_versions(server, out, 10)
        server.kill()
        server.wait()
        for client in clients:
            client.wait_for(r"trying again")
        again = self.aggregator(out, "--resume", port=server.port, settings=settings)
        self.assertEqual(again.wait(), 0, again.output)
        for client in clients:
            self.assertEqual(client.wait(), 0, client.output)
        summary = self.summary(out)
        self.assertGreaterEqual(summary["resumed_from_version"], 1)
        self.assertEqual(summary["model_version"], 60)
        self.assertEqual([line["version"] for line in self.metrics(out)], list(range(1, 61)))

    def test_clients_may_come_first_and_are_told_why_they_wait(self):
        first = self.aggregator(self.folder / "first", settings=[*ECHO, "clients.count=1"])
        port = first.port
        first.kill()
        first.wait()
        client = self.client(port, "early", settings=ECHO_CLIENT)
        client.wait_for(r"no aggregator answers")
        server = self.aggregator(self.folder / "second", port=port, settings=[*ECHO, "clients.count=1", "run.max_versions=3"])
        self.assertEqual(server.wait(), 0, server.output)
        self.assertEqual(client.wait(), 0, client.output)

    def test_status_and_stop(self):
        out = self.folder / "run"
        server = self.aggregator(out, settings=[*ECHO, "clients.count=1", "run.max_versions=0"])
        client = self.client(server.port, "only", settings=[*ECHO_CLIENT, "train.echo_seconds=0.05"])
        self.wait_for_versions(server, out, 2)
        for target in [f"127.0.0.1:{server.port}", out]:
            code, output = self.run_node_bare("status", target)
            self.assertEqual(code, 0, output)
            self.assertIn("version", output)
        code, output = self.run_node_bare("stop", out)
        self.assertEqual(code, 0, output)
        self.assertEqual(server.wait(), 0, server.output)
        self.assertEqual(client.wait(), 0, client.output)
        self.assertEqual(self.summary(out)["status"], "stopped")

    def test_a_second_client_of_the_same_name_waits(self):
        server = self.aggregator(self.folder / "run", settings=[*ECHO, "clients.count=2", "run.max_versions=0"])
        self.client(server.port, "twin", settings=[*ECHO_CLIENT, "train.echo_seconds=0.5"]).wait_for("joins")
        second = self.client(server.port, "twin", settings=ECHO_CLIENT)
        second.wait_for(r"a client named twin is connected already")

    def test_another_model_is_refused_for_good(self):
        server = self.aggregator(self.folder / "run", settings=[*ECHO, "clients.count=2"])
        settings = ["train.backend=torch", "data.name=synthetic_digits", "data.synthetic_train=300"]
        client = self.client(server.port, "other", settings=settings)
        self.assertEqual(client.wait(), 1, client.output)


class Supervision(FederationTest):
    """More crashes than supervision.max_restarts end a node with exit code 1 and the reason, on either side."""

    def test_an_aggregator_that_crashes_too_often(self):
        out = self.folder / "run"
        server = self.aggregator(out, settings=[
            *ECHO, "supervision.max_restarts=1", "run.max_versions=0",
            'chaos.crash=["aggregator@version=1", "aggregator@version=2", "aggregator@version=3"]'])
        client = self.client(server.port, "c0", settings=[*ECHO, "net.backoff_max_s=0.2", "net.reconnect_seconds=1"])
        self.assertEqual(server.wait(), 1, server.output)
        summary = self.summary(out)
        self.assertEqual(summary["status"], "failed")
        self.assertIn("aggregator crashed more than 1", server.output)
        self.assertEqual(client.wait(), 1, client.output)

    def test_a_client_that_crashes_too_often(self):
        server = self.aggregator(self.folder / "run", settings=[*ECHO, "run.max_versions=0"])
        client = self.client(server.port, "c0", settings=[
            *ECHO, "supervision.max_restarts=1",
            'chaos.crash=["client-0@task=1", "client-0@task=2", "client-0@task=3"]'])
        self.assertEqual(client.wait(), 1, client.output)
        self.assertIn("client-0 crashed more than 1", client.output)


if __name__ == "__main__":
    main()
