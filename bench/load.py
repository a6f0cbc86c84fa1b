"""Many clients against one aggregator: does its memory stay flat, is an update lost, how fast is it?

A thousand echo clients in ten processes (client.count) by default. The server's resident memory is read every second;
its slope is fitted after a warm-up of a quarter of the time. Every update that a client was told is accepted must be in
the ledger, once. The same slope is taken of one client process.
"""

import argparse
import json
import pathlib
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing

from runs import NODE, ROOT, settings_of

T_95 = 1.96  # of a normal distribution: there are more than thirty samples


def resident_mb(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


def blocks(samples, seconds=10):
    """Means over so many seconds: neighbours depend on each other, means of blocks hardly do."""
    grouped = {}
    for at, value in samples:
        grouped.setdefault(int(at // seconds), []).append((at, value))
    return [(statistics.fmean(at for at, _ in block), statistics.fmean(value for _, value in block))
            for block in grouped.values()]


def slope(samples):
    """Least squares: (slope a second, half the width of its 95 % interval)."""
    times, values = [at for at, _ in samples], [value for _, value in samples]
    middle, mean = statistics.fmean(times), statistics.fmean(values)
    spread = sum((at - middle) ** 2 for at in times)
    rise = sum((at - middle) * (value - mean) for at, value in samples) / spread
    if len(samples) < 3:
        return rise, float("inf")
    rest = sum((value - mean - rise * (at - middle)) ** 2 for at, value in samples)
    return rise, T_95 * (rest / (len(samples) - 2) / spread) ** 0.5


def start(folder, name, arguments, settings):
    log = open(folder / f"{name}.log", "w")
    return subprocess.Popen([str(NODE), *arguments, "--no-progress", "--out", str(folder / name), *settings_of(settings)],
                            cwd=ROOT, stdout=log, stderr=log)


def wait_for_port(folder, server):
    while True:
        text = (folder / "server.log").read_text()
        found = re.search(r"listening at \S+:(\d+);", text)
        if found:
            return found.group(1)
        if server.poll() is not None:
            sys.exit("the aggregator ended early:\n" + text)
        time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--parameters", type=int, default=200_000)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--durability", default="update", choices=["snapshot", "update"])
    parser.add_argument("--keep", help="an empty folder for the run; it is not removed")
    options = parser.parse_args()
    temporary = None if options.keep else tempfile.TemporaryDirectory(prefix="fl_load_")
    folder = pathlib.Path(options.keep or temporary.name)
    folder.mkdir(exist_ok=True)
    echo = ["train.backend=echo", "model.name=flat", f"model.parameters={options.parameters}"]
    server = start(folder, "server", ["--role", "aggregator", "--port", "0"],
                   [*echo, f"clients.count={options.clients}", "run.max_versions=0",
                    f"store.durability={options.durability}"])
    port = wait_for_port(folder, server)
    share = options.clients // options.processes
    clients = [start(folder, f"p{i}", ["--role", "client", "--join", f"127.0.0.1:{port}", "--name", f"p{i}",
                                       "--log-level", "warn"],
                     [*echo, f"client.count={share}", "client.spool=never"]) for i in range(options.processes)]
    samples, client_samples, begun = [], [], time.monotonic()
    while time.monotonic() - begun < options.seconds and server.poll() is None:
        samples.append((time.monotonic() - begun, resident_mb(server)))
        client_samples.append((time.monotonic() - begun, resident_mb(clients[0])))
        time.sleep(1)
    client_mb = [resident_mb(client) for client in clients]
    gone = [i for i, client in enumerate(clients) if client.poll() is not None]
    if gone:
        sys.exit(f"client processes {gone} ended early (out of memory?); their logs say more where --keep is given")
    subprocess.run([str(NODE), "stop", str(folder / "server")], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    code = server.wait()
    deadline = time.monotonic() + 60
    for client in clients:
        try:
            client.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            client.send_signal(signal.SIGINT)
            client.wait()
    report(options, folder, samples, client_samples, client_mb, code)
    if temporary:
        temporary.cleanup()


def report(options, folder, samples, client_samples, client_mb, code):
    summary = json.loads((folder / "server/summary.json").read_text())
    joined = [json.loads((folder / f"p{i}/summary.json").read_text()) for i in range(options.processes)]
    told = sum(one["updates_accepted"] for one in joined)
    with closing(sqlite3.connect(folder / "server/run.db")) as database:
        ledger, different = database.execute(
            "SELECT COUNT(*), COUNT(DISTINCT task) FROM updates WHERE number IS NOT NULL").fetchone()
        heard = database.execute("SELECT COUNT(DISTINCT client) FROM updates WHERE number IS NOT NULL").fetchone()[0]
    lines = [json.loads(line) for line in (folder / "server/metrics.jsonl").read_text().splitlines()]
    warm = [sample for sample in samples if sample[0] >= options.seconds / 4]
    rise, width = slope(blocks(warm))
    print(f"server            exit code {code}, {summary['status']}, {summary['restarts']} restarts")
    print(f"updates           {summary['updates_accepted']} accepted from {heard} of {options.clients} clients, "
          f"{sum(summary['updates_rejected'].values())} refused {summary['updates_rejected']}")
    if len(lines) > 4:
        first, last = lines[len(lines) // 4], lines[-1]
        updates = sum(line["updates"] for line in lines[len(lines) // 4 + 1:])
        print(f"rate              {updates / (last['time_s'] - first['time_s']):.1f} updates/s after the first quarter")
    print(f"ledger            {ledger} rows, {different} tasks; clients were told of {told}: "
          f"{'none lost, none twice' if told <= ledger == different else 'LOST OR TWICE'}")
    print(f"reconnects        {sum(one['reconnects'] for one in joined)}")
    values = [value for _, value in warm]
    if values:
        print(f"server memory     {min(values):.0f} to {max(values):.0f} MB after warm-up, mean {statistics.fmean(values):.0f}, "
              f"peak {summary['peak_rss_bytes'] / 1e6:.0f}")
        print(f"slope             {60 * rise:+.2f} MB/min, 95 % interval ± {60 * width:.2f} (means of ten seconds)")
    print(f"client processes  {min(client_mb):.0f} to {max(client_mb):.0f} MB each at the end")
    rise, width = slope(blocks([sample for sample in client_samples if sample[0] >= options.seconds / 4]))
    print(f"slope of one      {60 * rise:+.2f} MB/min, 95 % interval ± {60 * width:.2f}")


if __name__ == "__main__":
    main()
