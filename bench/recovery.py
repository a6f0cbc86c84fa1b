"""How long a killed aggregator of 25 M parameters takes until clients are served again.

An aggregator with store.durability = "update" and some echo clients; when so many updates are accepted since the last
snapshot, the aggregator is killed with -9 and started again. Measured is the time from the start of the process until
it has said both that it listens and that the model is restored from snapshot and ledger: a task can be given. The time
that the program's libraries take to load is measured in the same run (--version) and subtracted. Target: 2 s.
"""

import argparse
import pathlib
import re
import signal
import subprocess
import tempfile
import time

from runs import NODE, ROOT, median, settings_of

PARAMETERS = 25_000_000
CLIENTS = 3
TARGET_SECONDS = 2.0
# Both have to be said: the gateway is published, and the scheduler has the restored version to give tasks from.
LISTENS = r"listening at \S+:(\d+);"
RESTORED = r"the model goes on from version (\d+)"


def load_seconds():
    begin = time.monotonic()
    subprocess.run([str(NODE), "--version"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def start(command, log):
    return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def wait_for(path, pattern, count=1):
    while True:
        found = re.findall(pattern, path.read_text())
        if len(found) >= count:
            return found[-1]
        time.sleep(0.002)


def recover(folder, replayed):
    """(seconds from start to serving, updates that were made again) of one killed run."""
    out = folder / "run"
    settings = ["train.backend=echo", "model.name=flat", f"model.parameters={PARAMETERS}", f"clients.count={CLIENTS}",
                "run.max_versions=0", "strategy.buffer_size=1", "store.snapshot_every=1000000"]
    server_log = folder / "server.log"
    command = [str(NODE), "--role", "aggregator", "--out", str(out), "--no-progress", *settings_of(settings)]
    with open(server_log, "w") as log, open(folder / "clients.log", "w") as clients_log:
        server = start([*command, "--port", "0"], log)
        port = wait_for(server_log, LISTENS)
        clients = [start([str(NODE), "--role", "client", "--join", f"127.0.0.1:{port}", "--name", f"c{i}",
                          *settings_of(settings[:3])], clients_log) for i in range(CLIENTS)]
        wait_for(folder / "clients.log", r"update of task \d+ from version \d+ accepted", replayed)
        server.send_signal(signal.SIGKILL)
        server.wait()
        for client in clients:
            client.kill()
            client.wait()
    updates = len(list((out / "updates").glob("*.update")))
    again = folder / "again.log"
    with open(again, "w") as log:
        begin = time.monotonic()
        server = start([*command, "--port", "0", "--resume"], log)
        wait_for(again, LISTENS)
        version = int(wait_for(again, RESTORED))
        seconds = time.monotonic() - begin
        server.kill()
        server.wait()
    # A version for each update, all of them after the only snapshot, which is of version 0.
    snapshots = [file.name for file in (out / "checkpoints").glob("*.snapshot")]
    assert snapshots == ["version-00000000.snapshot"] and replayed <= version <= updates, (snapshots, version, updates)
    return seconds, version


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--updates", type=int, default=10, help="accepted since the last snapshot, at least")
    options = parser.parse_args()
    results = []
    print(f"{'updates':>7} {'start to serving s':>18} {'loading s':>10} {'recovery s':>11} {'of target':>9}")
    for _ in range(options.repetitions):
        with tempfile.TemporaryDirectory(prefix="fl_bench_") as folder:
            load = load_seconds()
            seconds, updates = recover(pathlib.Path(folder), options.updates)
        results.append(seconds - load)
        print(f"{updates:7} {seconds:18.2f} {load:10.2f} {seconds - load:11.2f} {(seconds - load) / TARGET_SECONDS:9.2f}",
              flush=True)
    seconds = median(results)
    print(f"median {seconds:.2f} s, target {TARGET_SECONDS} s: {'reached' if seconds < TARGET_SECONDS else 'missed'}")


if __name__ == "__main__":
    main()
