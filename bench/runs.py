"""Whole runs of fl_actor_node for benchmarks: starts them, waits, reads what they say of themselves."""

import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
NODE = pathlib.Path(os.environ.get("FL_NODE", ROOT / "build/release/fl_actor_node"))


def settings_of(settings):
    return [word for setting in settings for word in ("--set", setting)]


def simulate_in(out, settings, config=None, log=None):
    """Runs a simulation to its end in a folder that stays; returns its summary."""
    command = [str(NODE), "--role", "simulate", "--out", str(out), "--no-progress", "--log-level", "warn"]
    if config:
        command += ["--config", str(ROOT / config)]
    subprocess.run([*command, *settings_of(settings)], cwd=ROOT, check=True, stdout=log or subprocess.DEVNULL)
    return json.loads((out / "summary.json").read_text())


def simulate(settings, config=None, log=None):
    """The same in a folder of its own; returns (summary, metrics lines)."""
    with tempfile.TemporaryDirectory(prefix="fl_bench_") as folder:
        out = pathlib.Path(folder) / "run"
        summary = simulate_in(out, settings, config, log)
        return summary, [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def federate(server_settings, client_settings, clients):
    """An aggregator and so many clients as processes over loopback; returns the server's summary and metrics lines."""
    with tempfile.TemporaryDirectory(prefix="fl_bench_") as folder:
        out = pathlib.Path(folder) / "run"
        log = open(pathlib.Path(folder) / "server.log", "w+")
        server = subprocess.Popen(
            [str(NODE), "--role", "aggregator", "--port", "0", "--out", str(out), "--no-progress",
             *settings_of(server_settings)], cwd=ROOT, stdout=log, stderr=log)
        port = None
        while port is None:
            time.sleep(0.05)
            found = re.search(r"listening at \S+:(\d+);", pathlib.Path(log.name).read_text())
            port = found and found.group(1)
            if server.poll() is not None:
                sys.exit("the aggregator ended early:\n" + pathlib.Path(log.name).read_text())
        joined = [
            subprocess.Popen([str(NODE), "--role", "client", "--join", f"127.0.0.1:{port}", "--name", f"c{i}",
                              "--log-level", "error", *settings_of(client_settings)],
                             cwd=ROOT, stdout=subprocess.DEVNULL)
            for i in range(clients)
        ]
        code = server.wait()
        for client in joined:
            client.wait()
        if code != 0:
            sys.exit("the aggregator failed:\n" + pathlib.Path(log.name).read_text())
        lines = (out / "metrics.jsonl").read_text().splitlines()
        return json.loads((out / "summary.json").read_text()), [json.loads(line) for line in lines]


def cpu_seconds():
    """Of all children that have ended: unlike their wall time it hardly depends on what else the machine does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def kept_results(path, cases, run):
    """run(*case) for each case (a tuple of words and numbers) that `path` does not hold yet, a line of JSON each; all
    results by case."""
    results = {}
    if path.exists():
        for line in path.read_text().splitlines():
            kept = json.loads(line)
            results[tuple(kept["case"])] = kept["result"]
    for case in cases:
        if case in results:
            continue
        begun = time.monotonic()
        results[case] = run(*case)
        with path.open("a") as file:
            file.write(json.dumps({"case": case, "result": results[case]}) + "\n")
        print(f"{', '.join(map(str, case))}: {results[case]['accuracy']:.4f} ({time.monotonic() - begun:.0f} s)",
              file=sys.stderr, flush=True)
    return results


def steady_rate(lines):
    """Updates a second between the first quarter of the versions and the last: without the start."""
    first, last = lines[len(lines) // 4], lines[-1]
    updates = sum(line["updates"] for line in lines[len(lines) // 4 + 1:])
    return updates / (last["time_s"] - first["time_s"])


def median(values):
    return statistics.median(values)
