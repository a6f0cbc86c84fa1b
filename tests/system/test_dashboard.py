"""The dashboard's answers over HTTP: what they say of a real run, who may ask, and runs that have ended.

The page itself is tested in a browser: scripts/browser_test.sh."""

import http.client
import json
import re
import time
import urllib.parse

from federation import ECHO, FederationTest, main

SERVER = [*ECHO, "clients.count=3", "strategy.buffer_size=2", "run.max_versions=0", "dashboard.port=0",
          "dashboard.enabled=true", "net.heartbeat_s=0.3", "net.connection_timeout_s=1.5", "schedule.rejoin_s=0.5"]
CLIENT = [*ECHO, "train.echo_seconds=0.1", "net.heartbeat_s=0.3", "net.connection_timeout_s=1.5"]


class Page:
    def __init__(self, node):
        found = node.wait_for(r"dashboard at http://([^/]+)/")
        self.host = found.group(1)

    def ask(self, path, method="GET", **headers):
        """(status, headers, body)"""
        connection = http.client.HTTPConnection(self.host, timeout=20)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body

    def json(self, path):
        status, _, body = self.ask(path)
        assert status == 200, (path, status, body)
        return json.loads(body)


class Dashboard(FederationTest):
    def begin(self, *settings):
        self.out = self.folder / "run"
        self.server = self.aggregator(self.out, settings=[*SERVER, *settings])
        self.page = Page(self.server)
        self.clients = [self.client(self.server.port, name, settings=CLIENT) for name in ["ann", "bob", "cid"]]

    def wait_until(self, path, holds):
        for _ in range(400):
            value = self.page.json(path)
            if holds(value):
                return value
            time.sleep(0.1)
        raise AssertionError(f"{path} stayed {value}")

    def test_it_tells_how_the_run_goes_and_who_is_lost(self):
        self.begin()
        run = self.wait_until("/api/run", lambda run: run["version"] >= 5 and run["clients"]["training"] == 3)
        self.assertTrue(run["live"])
        self.assertEqual(run["state"], "training")
        self.assertEqual(run["strategy"], "fedavg_async")
        versions = self.wait_until("/api/versions", lambda versions: len(versions) >= 5)
        self.assertEqual([v["version"] for v in versions[:3]], [1, 2, 3])
        self.assertEqual(self.page.json(f"/api/versions?after={versions[-1]['version'] - 1}")[0]["version"],
                         versions[-1]["version"])
        clients = self.page.json("/api/clients")  # the first question is answered as well as any later one
        self.assertLessEqual({client["state"] for client in clients}, {"training", "waiting"}, clients)
        self.assertEqual(sorted(client["name"] for client in clients), ["ann", "bob", "cid"])
        self.assertAlmostEqual(sum(client["share"] for client in clients), 1)
        self.assertGreater(sum(self.page.json("/api/staleness")["counts"]), 0)
        config = {setting["key"]: setting for setting in self.page.json("/api/config")}
        self.assertFalse(config["clients.count"]["default"] and config["model.name"]["default"])
        self.assertEqual(config["model.name"]["value"], '"flat"')

        lost = self.clients[1]
        name = clients[[client["name"] for client in clients].index("bob")]["name"]
        lost.kill()
        self.wait_until("/api/clients", lambda all: {c["name"]: c["state"] for c in all}[name] == "lost")
        events = self.wait_until("/api/events", lambda events: any("lost" in event["text"] for event in events))
        self.assertEqual([event["id"] for event in events], sorted(event["id"] for event in events))

    def test_the_stream_begins_with_the_run_and_goes_on(self):
        self.begin()
        connection = http.client.HTTPConnection(self.page.host, timeout=30)
        connection.request("GET", "/api/stream")
        answer = connection.getresponse()
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream")
        kinds, versions = set(), []
        while not ({"run", "versions", "clients", "staleness"} <= kinds and len(versions) > 5):
            line = answer.readline().decode()
            if line.startswith("event: "):
                kind = line.split()[1]
                kinds.add(kind)
                data = json.loads(answer.readline().decode().removeprefix("data: "))
                if kind == "versions":
                    versions += [version["version"] for version in data]
        connection.close()
        self.assertEqual(versions, list(range(versions[0], versions[0] + len(versions))))

    def test_metrics_are_as_prometheus_reads_them(self):
        self.begin()
        self.wait_until("/api/run", lambda run: run["updates_accepted"] > 20)
        status, headers, body = self.page.ask("/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        types, values = {}, {}
        for line in body.decode().splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.assertNotIn(name, types, "one block a metric")
                types[name] = kind
            elif not line.startswith("#"):
                # name{label="value",…} number
                match = re.fullmatch(r'([a-z_:][a-z0-9_:]*)(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? (\S+)', line)
                self.assertIsNotNone(match, line)
                float(match.group(4).replace("+Inf", "inf"))
                values[match.group(1) + (match.group(2) or "")] = float(match.group(4))
                base = re.sub(r"_(bucket|sum|count)$", "", match.group(1))
                self.assertTrue(match.group(1) in types or types.get(base) == "histogram", line)
        for name, kind in types.items():
            self.assertTrue(name.startswith(("fl_actor_", "process_")), name)
            self.assertEqual(name.endswith("_total"), kind == "counter", name)
        self.assertGreater(values["fl_actor_updates_accepted_total"], 20)
        self.assertEqual(values['fl_actor_clients{state="training"}'] + values['fl_actor_clients{state="waiting"}'], 3)
        buckets = [value for name, value in values.items() if name.startswith("fl_actor_staleness_versions_bucket")]
        self.assertEqual(buckets, sorted(buckets))
        self.assertEqual(buckets[-1], values["fl_actor_staleness_versions_count"])

    def test_who_may_ask(self):
        self.begin()
        self.assertEqual(self.page.ask("/api/run", method="POST")[0], 405)
        self.assertEqual(self.page.ask("/api/run", Host="other.example")[0], 403)
        self.assertEqual(self.page.ask("/api/run", Host="127.other.example")[0], 403)
        self.assertEqual(self.page.ask("/chart.js", Range="bytes=0-1,3-4")[0], 416)
        self.assertEqual(self.page.ask("/api/nothing")[0], 404)
        self.assertEqual(self.page.ask("/api/versions?after=x")[0], 400)
        status, headers, _ = self.page.ask("/")
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Security-Policy"], "default-src 'self'")
        code, output = self.run_node("--role", "simulate", "--out", self.folder / "open", "--dashboard",
                                     settings=[*ECHO, "dashboard.bind=0.0.0.0"])
        self.assertEqual(code, 2)
        self.assertIn("dashboard.token", output)

    def test_a_token(self):
        self.begin("dashboard.token=s3cret")
        for path in ["/api/run", "/metrics", "/api/run?token=wrong"]:
            self.assertEqual(self.page.ask(path)[0], 401, path)
        for path in ["/", "/page.js", "/chart.js", "/api/run?token=s3cret"]:
            self.assertEqual(self.page.ask(path)[0], 200, path)
        self.assertEqual(self.page.ask("/api/run", Authorization="Bearer s3cret")[0], 200)
        self.assertEqual(self.page.ask("/api/run?token=s3cret", Host="other.example")[0], 200)
        self.assertNotIn("s3cret", self.page.ask("/api/config?token=s3cret")[2].decode())

    def test_a_run_that_has_ended_can_be_viewed(self):
        out = self.folder / "ended"
        code, output = self.run_node("--role", "simulate", "--out", out, settings=[*ECHO, "run.max_versions=7"])
        self.assertEqual(code, 0, output)
        viewer = self.start("view", out, "--dashboard", "0")
        self.page = Page(viewer)
        run = self.page.json("/api/run")
        self.assertEqual((run["live"], run["state"], run["version"]), (False, "completed", 7))
        self.assertEqual(len(self.page.json("/api/versions")), 7)
        self.assertEqual(self.page.json("/api/run")["updates_accepted"], self.summary(out)["updates_accepted"])
        taken = self.start("view", out, "--dashboard", urllib.parse.urlsplit(f"//{self.page.host}").port)
        self.assertEqual(taken.wait(), 2)
        self.assertIn("the port is taken", taken.output)
        nothing = self.start("view", self.folder / "nothing", "--dashboard", "0")
        self.assertEqual(nothing.wait(), 2)
        self.assertIn("holds no run", nothing.output)
        everywhere = self.start("view", out, settings=["dashboard.bind=0.0.0.0", "dashboard.port=0"])
        self.assertEqual(everywhere.wait(), 2)
        self.assertIn("dashboard.token", everywhere.output)


if __name__ == "__main__":
    main()
