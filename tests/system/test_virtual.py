"""Federations in virtual time: the seed alone decides, time is simulated, devices are uneven; runs side by side."""

import os
import re
import signal
import unittest
import xml.etree.ElementTree

from federation import ECHO, FederationTest, main

SMALL = ["simulate.clock=virtual", "data.name=synthetic_digits", "data.synthetic_train=2000", "data.synthetic_test=300",
         "model.name=mlp_2nn", "train.learning_rate=0.05", "train.steps=3", "clients.count=12", "evaluate.every=3"]
UNEVEN = ["clients.speed=lognormal", "clients.up_mbit_s=10", "clients.network_sigma=0.5", "clients.latency_ms=40",
          "clients.dropout=0.1"]
STRATEGIES = ["fedavg", "fedavg_async", "fedasync", "fedasync_delta", "fedbuff"]


class VirtualTest(FederationTest):
    def simulate(self, name, *settings, arguments=(), code=0):
        out = self.folder / name
        ended, output = self.run_node("--role", "simulate", "--out", out, *arguments, settings=settings)
        self.assertEqual(ended, code, output)
        return self.summary(out) if code == 0 else output


@unittest.skipIf(os.environ.get("FL_WITHOUT_TORCH"), "built without torch")
class Training(VirtualTest):
    def test_the_model_does_not_depend_on_the_workers(self):
        for strategy in STRATEGIES:
            with self.subTest(strategy):
                settings = [*SMALL, *UNEVEN, f"strategy.name={strategy}", "run.max_versions=6"]
                runs = [self.simulate(f"{strategy}-{i}", *settings, f"simulate.workers={workers}")
                        for i, workers in enumerate([1, 2, 8, 1, 2, 8])]
                self.assertEqual(len({run["model_sha256"] for run in runs}), 1)
                self.assertEqual(len({run["virtual_seconds"] for run in runs}), 1)
                other = self.simulate(f"{strategy}-other", *settings, arguments=["--seed", 2])
                self.assertNotEqual(other["model_sha256"], runs[0]["model_sha256"])

    def test_synchronous_training_gives_the_same_model_on_either_clock(self):
        settings = [*SMALL, "strategy.name=fedavg", "run.max_versions=4"]
        virtual = self.simulate("virtual", *settings, "clients.speed=lognormal")
        real = self.simulate("real", *settings, "simulate.clock=real")  # the later setting wins
        self.assertEqual(virtual["model_sha256"], real["model_sha256"])
        self.assertEqual(virtual["bytes_up"], real["bytes_up"])
        self.assertIsNone(real["virtual_seconds"])
        self.assertGreater(virtual["virtual_seconds"], 0)

    def test_every_policy_and_adaptive_work_are_repeatable(self):
        for policy in ["random", "power_of_choice", "oort", "tiered", "fair"]:
            with self.subTest(policy):
                settings = [*SMALL, *UNEVEN, f"schedule.policy={policy}", "schedule.max_concurrent=4",
                            "schedule.adaptive_work=true", "schedule.deadline_factor=2", "schedule.accept_partial=true",
                            "run.max_versions=10"]
                one = self.simulate(f"{policy}-1", *settings, "simulate.workers=1")
                two = self.simulate(f"{policy}-2", *settings, "simulate.workers=2")
                self.assertEqual(one["model_sha256"], two["model_sha256"])
                self.assertEqual(one["model_version"], 10)

    def test_a_target_stops_the_run_at_its_version(self):
        settings = [*SMALL, "train.steps=0", "run.max_versions=200", "evaluate.every=1", "run.target_accuracy=0.5"]
        summary = self.simulate("run", *settings)
        lines = self.metrics(self.folder / "run")
        reached = [line["version"] for line in lines if (line["eval_accuracy"] or 0) >= 0.5]
        self.assertEqual(reached, [summary["model_version"]])

    def test_clients_evaluate(self):
        summary = self.simulate("run", *SMALL, "evaluate.where=clients", "run.max_versions=6")
        self.assertIsNotNone(summary["final_accuracy"])


class Clock(VirtualTest):
    def echo(self, name, *settings, **arguments):
        return self.simulate(name, *ECHO, "simulate.clock=virtual", "train.echo_seconds=10", *settings, **arguments)

    def test_time_is_simulated(self):
        summary = self.echo("run", "clients.count=4", "clients.speed_list=1,1,1,10", "run.max_updates=310",
                            "run.max_versions=0")
        # Three clients answer every ten seconds, the fourth every hundred: 31 in a hundred.
        self.assertAlmostEqual(summary["virtual_seconds"], 1000, delta=15)
        lines = self.metrics(self.folder / "run")
        times = [line["virtual_s"] for line in lines]
        self.assertEqual(times, sorted(times))
        self.assertLess(lines[-1]["time_s"], lines[-1]["virtual_s"])

    def test_a_limit_of_seconds_is_one_of_virtual_seconds_also_after_a_resume(self):
        self.echo("run", "clients.count=4", "run.max_seconds=500", "run.max_versions=0")
        summary = self.summary(self.folder / "run")
        self.assertAlmostEqual(summary["virtual_seconds"], 500, delta=1)

    def test_an_interrupted_run_goes_on(self):
        out = self.folder / "run"
        settings = [*ECHO, "simulate.clock=virtual", "train.echo_seconds=10", "clients.count=20", "run.max_versions=0",
                    "run.max_updates=100000000"]
        node = self.start("--role", "simulate", "--out", out, settings=settings)
        self.wait_for_versions(node, out, 50)
        node.kill(signal.SIGINT)
        self.assertEqual(node.wait(), 130, node.output)
        before = self.summary(out)
        code, output = self.run_node("--role", "simulate", "--out", out, "--resume",
                                     settings=[f"run.max_updates={before['updates_accepted'] + 200}"])
        self.assertEqual(code, 0, output)
        after = self.summary(out)
        self.assertEqual(after["resumed_from_version"], before["model_version"])
        self.assertGreater(after["virtual_seconds"], before["virtual_seconds"])
        self.assert_versions_once(out)

    def test_devices_come_and_go_as_a_trace_says(self):
        trace = self.folder / "devices.csv"
        trace.write_text("speed,dropout,online_s,online_period_s\n1,0,,\n2,0,0-200 300-inf,\n1,0.5,0-40,100\n")
        summary = self.echo("run", f"clients.trace={trace}", "clients.count=6", "run.max_seconds=2000",
                            "run.max_versions=0", "strategy.buffer_size=1")
        # Two that never rest (200 each), two at half the speed, two that are there for less than half of the time and
        # give up every second task.
        self.assertGreater(summary["updates_accepted"], 2 * 200 + 2 * 90)
        self.assertLess(summary["updates_accepted"], 2 * 200 + 2 * 100 + 2 * 70)

    def test_a_bad_trace_is_refused_by_line_and_leaves_nothing(self):
        trace = self.folder / "devices.csv"
        trace.write_text("speed\n1\nfast\n")
        output = self.echo("run", f"clients.trace={trace}", code=2)
        self.assertIn("devices.csv:3", output)
        self.assertFalse((self.folder / "run").exists())

    def test_time_is_real_across_processes(self):
        code, output = self.run_node("--role", "aggregator", "--out", self.folder / "run",
                                     settings=["simulate.clock=virtual"])
        self.assertEqual(code, 2, output)
        self.assertIn("--role simulate", output)

    def test_a_federation_that_comes_to_a_standstill_says_so(self):
        trace = self.folder / "devices.csv"
        trace.write_text("online_s\n0-25\n")
        code, output = self.run_node("--role", "simulate", "--out", self.folder / "run",
                                     settings=[*ECHO, "simulate.clock=virtual", "train.echo_seconds=10",
                                               f"clients.trace={trace}", "run.max_versions=1000"])
        self.assertEqual(code, 1, output)
        self.assertIn("standstill", output)

    def test_runs_are_compared_in_a_page_of_its_own(self):
        for name, strategy in [("sync", "fedavg"), ("async", "fedavg_async")]:
            self.echo(name, f"strategy.name={strategy}", "clients.count=8", "clients.speed=pareto", "run.max_versions=0",
                      "run.max_updates=80")
        page = self.folder / "page.html"
        code, output = self.run_node_bare("compare", self.folder / "sync", self.folder / "async", "--out", page)
        self.assertEqual(code, 0, output)
        self.assertIn("fedavg_async", output)
        html = page.read_text()
        self.assertNotIn("http://", html.replace("http://www.w3.org/2000/svg", ""))
        self.assertNotIn("https://", html)
        plots = re.findall(r"<svg.*?</svg>", html, re.S)
        self.assertGreaterEqual(len(plots), 4)
        for plot in plots:
            xml.etree.ElementTree.fromstring(plot)
        code, output = self.run_node_bare("compare", self.folder, "--out", page)
        self.assertEqual(code, 2, output)
        self.assertIn("holds no run", output)


if __name__ == "__main__":
    main()
