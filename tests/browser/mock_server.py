#!/usr/bin/env python3
"""Serves the dashboard's page with a run that is made up, to look at the page without a federation.

    mock_server.py [--port P] [--clients N] [--versions N] [--finished] [--lose NAME SECONDS] [--token T] ...

It answers as docs/dashboard.md says, with names and texts that would do harm on a page that took them for markup.
It prints its address and serves until it is interrupted.
"""

import argparse
import json
import math
import pathlib
import random
import threading
import time
import urllib.parse
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = pathlib.Path(__file__).resolve().parents[2] / "runtime" / "dashboard"
CHART = pathlib.Path("/usr/share/javascript/chart.js/chart.min.js")
FILES = {
    "/": (PAGE / "page.html", "text/html; charset=utf-8"),
    "/page.css": (PAGE / "page.css", "text/css; charset=utf-8"),
    "/page.js": (PAGE / "page.js", "text/javascript; charset=utf-8"),
    "/chart.js": (CHART, "text/javascript; charset=utf-8"),
}
HOSTILE = "<img src=x onerror=alert(1)>"
VERSIONS_AT_ONCE = 5000
EVENTS = 500
BINS = 32
MODEL_BYTES = 4_800_000
CONFIG = {
    "run.seed": 1, "run.max_versions": 0, "run.max_updates": 0, "run.max_seconds": 0.0, "run.target_accuracy": 0.0,
    "model.name": "simple_cnn", "model.parameters": 0, "model.file": "", "data.name": "mnist", "data.folder": "",
    "data.partition": "iid", "data.dirichlet_alpha": 0.5, "data.label_noise": 0.0, "clients.count": 3,
    "clients.fraction": 1.0, "clients.minimum": 0, "clients.speed": "uniform", "clients.speed_list": [],
    "train.backend": "torch", "train.epochs": 1, "train.steps": 0, "train.batch_size": 32,
    "train.learning_rate": 0.01, "train.momentum": 0.0, "train.optimizer": "sgd", "train.precision": "fp32",
    "train.device": "auto", "strategy.name": "fedavg", "strategy.alpha": 0.6, "strategy.buffer_size": 10,
    "strategy.max_staleness": 0, "upload.codec": "none", "upload.ratio": 0.01, "download.codec": "none",
    "schedule.lease_s": 60.0, "validate.max_norm": 0.0, "validate.strikes": 3, "evaluate.every": 1,
    "store.durability": "update", "store.snapshot_every": 10, "store.max_bytes": 0, "net.port": 4242,
    "net.bind": "127.0.0.1", "net.backoff_max_s": 30.0, "net.tls.enabled": False, "net.tls.certificate": "",
    "dashboard.port": 8642, "dashboard.bind": "127.0.0.1",
}


def utc(seconds):
    moment = datetime(2026, 11, 27, 15, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Run:
    """A run that goes on as time passes; `lock` guards it."""

    def __init__(self, options):
        self.options = options
        self.lock = threading.Condition()
        self.random = random.Random(7)
        self.began = time.monotonic()
        self.clock = 0.0
        self.versions, self.events = [], []
        self.staleness = [0] * BINS
        self.refused = {}
        self.bytes_up = self.bytes_down = 0
        self.clients = [self.client(i) for i in range(options.clients)]
        self.goal = options.goal or (options.versions if options.finished else 3 * options.versions + 200)
        self.happened("state", "info", "the run began")
        for one in self.clients[:40]:
            self.happened("joined", "info", f"client {one['name']} joined")
        for _ in range(options.versions):
            self.make_version()
        if options.clients > 4:
            self.mark(4, "quarantined", "quarantine", "error", "was quarantined: 3 updates were too large")
            self.clients[4]["strikes"] = 3
        if options.clients > 3 and not options.lose:
            self.mark(3, "lost", "left", "warning", "was lost: no answer for 30 s")
            self.clients[3]["lost"] = 2
        self.happened("restart", "warning", "the aggregator crashed and was restarted from version 12")
        self.happened("refused", "warning", f"an update of {HOSTILE} was refused: too_stale")
        if options.finished:
            self.happened("state", "info", f"the run is completed: run.max_versions = {self.goal} reached")
            for one in self.clients:
                one.update(task=None, since_s=None, last_seen_s=None, samples_per_s=None)
                if one["state"] != "quarantined":
                    one["state"] = "absent"

    def client(self, index):
        names = ["ann", HOSTILE, "clinic-north", "clinic-south", "edge-box-07", "a client with much too long a name"]
        speed = math.exp(self.random.gauss(6, 0.7))
        absent = index >= 8 and index % 11 == 10
        return {"client": index, "name": names[index] if index < len(names) else f"device-{index:04}",
                "state": "absent" if absent else "training", "samples": self.random.randrange(200, 2000),
                "samples_per_s": None if absent else speed, "task": None if absent else index + 1,
                "since_s": None if absent else 0.0, "last_seen_s": None if absent else 0.0, "updates": 0, "share": 0.0,
                "staleness": None, "lost": 0, "strikes": 0}

    def happened(self, kind, level, text):
        number = self.events[-1]["id"] + 1 if self.events else 1
        self.events.append({"id": number, "time": utc(self.clock), "kind": kind, "level": level, "text": text})
        del self.events[:-EVENTS]

    def mark(self, index, state, kind, level, text):
        one = self.clients[index]
        one.update(state=state, task=None, since_s=None)
        self.happened(kind, level, f"client {one['name']} {text}")

    def make_version(self):
        """The next version, from a few updates of clients that are there."""
        number = len(self.versions) + 1
        there = [one for one in self.clients if one["state"] in ("training", "waiting")]
        updates = self.random.randint(6, 14) if there else 0
        self.clock += self.random.uniform(0.6, 1.1) * (1.6 if number % 90 > 70 else 1)
        total = 0
        for _ in range(updates):
            one = self.random.choices(there, [client["samples_per_s"] for client in there])[0]
            stale = min(int(self.random.expovariate(0.35)), number - 1)
            total += stale
            self.staleness[min(stale, BINS - 1)] += 1
            one["staleness"] = ((one["staleness"] or 0.0) * one["updates"] + stale) / (one["updates"] + 1)
            one["updates"] += 1
            one["task"] = one["client"] + number * len(self.clients)
            one["since_s"] = 0.0
        if number % 37 == 0:
            self.refused["too_stale"] = self.refused.get("too_stale", 0) + 1
        self.bytes_up += updates * MODEL_BYTES // 4
        self.bytes_down += updates * MODEL_BYTES
        left = math.exp(-number / 45)
        noise = self.random.gauss(0, 0.006 + 0.02 * left)
        evaluated = number % self.options.evaluate_every == 0
        self.versions.append({
            "version": number, "time_s": self.clock, "virtual_s": self.clock * (60 if self.options.virtual else 1),
            "updates": updates, "train_loss": 0.08 + 2.1 * left + abs(self.random.gauss(0, 0.03)),
            "eval_loss": 0.11 + 2.15 * left + 2 * abs(noise) if evaluated else None,
            "eval_accuracy": min(0.999, 0.975 - 0.86 * left + noise) if evaluated else None,
            "staleness_mean": total / updates if updates else 0.0,
            "bytes_up": self.bytes_up, "bytes_down": self.bytes_down})
        accepted = sum(one["updates"] for one in self.clients)
        for one in self.clients:
            one["share"] = one["updates"] / accepted if accepted else 0.0

    def step(self, seconds):
        """Some seconds pass."""
        options = self.options
        if options.finished or len(self.versions) >= self.goal:
            return
        for one in self.clients:
            if one["state"] not in ("training", "waiting"):
                continue
            one["state"] = "waiting" if self.random.random() < 0.15 else "training"
            one["since_s"] = (one["since_s"] or 0) + seconds
            one["last_seen_s"] = self.random.uniform(0, 3)
        for one in self.clients:
            if one["state"] == "lost":
                one["last_seen_s"] += seconds
        if options.lose and time.monotonic() - self.began > float(options.lose[1]):
            for one in self.clients:
                if one["name"] == options.lose[0] and one["state"] != "lost":
                    one["lost"] += 1
                    self.mark(one["client"], "lost", "left", "warning", "was lost: its connection ended")
        self.make_version()
        if len(self.versions) % 12 == 0:
            self.happened("joined", "info", f"client device-{self.random.randrange(10_000):04} joined")
        with self.lock:
            self.lock.notify_all()

    # -- the answers

    def run(self):
        options, versions = self.options, self.versions
        newest = versions[-1] if versions else {}
        evaluated = [version for version in versions if version["eval_accuracy"] is not None]
        last = evaluated[-1] if evaluated else {}
        states = [one["state"] for one in self.clients]
        over = len(versions) >= self.goal
        scale = 60 if options.virtual else 1
        return {
            "run_id": "5f1c9a3e7b2d40688d1e4fa0c3b7725e", "folder": "runs/2026-11-27-mnist-async", "created_at": utc(0),
            "software_version": "fl_actor 0.9.0", "live": not options.finished,
            "state": "completed" if options.finished else "finished" if over else "training", "not_ready": "",
            "strategy": "fedavg_async", "model": "simple_cnn", "data": "mnist", "clients_count": len(self.clients),
            "version": len(versions), "max_versions": self.goal, "max_updates": 0,
            "updates_accepted": sum(self.staleness), "updates_rejected": self.refused,
            "updates_per_s": None if options.finished else 10 / scale + self.random.gauss(0, 0.4) / scale,
            "staleness_mean": None if options.finished else newest.get("staleness_mean"),
            "accuracy": last.get("eval_accuracy"), "loss": last.get("eval_loss"),
            "best_accuracy": max((version["eval_accuracy"] for version in evaluated), default=None),
            "train_loss": newest.get("train_loss"),
            "clients": {name: states.count(name) for name in ("training", "waiting", "lost", "quarantined")},
            "waited_for": "" if options.finished else "client 2", "waited_s": 3 + time.monotonic() % 14,
            "elapsed_s": self.clock * scale,
            "remaining_s": None if options.finished else (self.goal - len(versions)) * scale,
            "virtual_time": options.virtual, "bytes_up": self.bytes_up, "bytes_down": self.bytes_down, "restarts": 1}

    def config(self):
        changed = {"data.partition": "dirichlet", "clients.count": len(self.clients), "strategy.name": "fedavg_async",
                   "run.max_versions": self.goal, "clients.speed_list": [1, 1, 1, 2, 2, 2, 2, 4, 4, 8]}
        return [{"key": key, "value": json.dumps(changed.get(key, value)), "default": key not in changed}
                for key, value in CONFIG.items()]

    def answer(self, what, after):
        return {"run": lambda: self.run(), "config": self.config,
                "versions": lambda: self.versions[after:][:VERSIONS_AT_ONCE], "clients": lambda: self.clients[:1000],
                "staleness": lambda: {"counts": self.staleness},
                "events": lambda: [event for event in self.events if event["id"] > after]}[what]()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path in FILES:
            file, kind = FILES[url.path]
            self.reply(200, file.read_bytes(), kind)
        elif url.path == "/favicon.ico":
            self.reply(204, b"", "image/x-icon")
        elif not url.path.startswith("/api/"):
            self.refuse(404, "there is nothing at this path")
        elif not self.allowed(query):
            self.refuse(401, "a token is needed: ?token=TOKEN or Authorization: Bearer TOKEN")
        elif url.path == "/api/stream":
            self.stream()
        else:
            self.api(url.path.removeprefix("/api/"), query)

    def allowed(self, query):
        token = self.server.run.options.token
        given = query.get("token"), self.headers.get("Authorization", "").removeprefix("Bearer ")
        return not token or token in given

    def api(self, what, query):
        run = self.server.run
        try:
            with run.lock:
                body = json.dumps(run.answer(what, int(query.get("after", "0"))))
        except KeyError:
            return self.refuse(404, "there is nothing at this path")
        except ValueError:
            return self.refuse(400, "after is not a number")
        self.reply(200, body.encode(), "application/json")

    def stream(self):
        run = self.server.run
        self.send_response(200)
        self.headers_of("text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        with run.lock:
            version, event = len(run.versions), run.events[-1]["id"]
        try:
            while not self.server.ended:
                with run.lock:
                    news = {"run": run.run(), "versions": run.versions[version:], "clients": run.clients[:1000],
                            "staleness": {"counts": run.staleness}, "events": run.answer("events", event)}
                    version, event = len(run.versions), run.events[-1]["id"]
                    text = "".join(f"event: {kind}\ndata: {json.dumps(data)}\n\n"
                                   for kind, data in news.items() if data)
                self.wfile.write(text.encode())
                self.wfile.flush()
                with run.lock:
                    run.lock.wait(5 if run.options.finished else 1)
        except OSError:
            pass  # The page was closed.
        self.close_connection = True

    def refuse(self, status, text):
        self.reply(status, json.dumps({"error": text}).encode(), "application/json")

    def reply(self, status, body, kind):
        self.send_response(status)
        self.headers_of(kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def headers_of(self, kind):
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'self'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--versions", type=int, default=150, help="made before the page opens")
    parser.add_argument("--goal", type=int, default=0, help="versions of the run; 0: more than there are")
    parser.add_argument("--evaluate-every", type=int, default=2)
    parser.add_argument("--finished", action="store_true", help="the run is over, as in `view`")
    parser.add_argument("--virtual", action="store_true", help="the run's clock is simulated")
    parser.add_argument("--lose", nargs=2, metavar=("NAME", "SECONDS"), help="this client is lost after so long")
    parser.add_argument("--token", default="", help="without it /api answers 401")
    run = Run(parser.parse_args())
    server = ThreadingHTTPServer(("127.0.0.1", run.options.port), Handler)
    server.daemon_threads = True
    server.run, server.ended = run, False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    token = f"?token={run.options.token}" if run.options.token else ""
    print(f"http://127.0.0.1:{server.server_port}/{token}", flush=True)
    try:
        while True:
            time.sleep(1)
            with run.lock:
                run.step(1)
    except KeyboardInterrupt:
        server.ended = True


if __name__ == "__main__":
    main()
