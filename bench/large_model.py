#!/usr/bin/env python3
"""A large model through real processes: the server's peak memory as a multiple of the model, and how long it takes for
other clients' small messages meanwhile.

  bench/large_model.py [--parameters N] [--clients N] [--updates N] [--codec CODEC]

By default a model of 1 GiB. Echo clients train it; a probe asks the aggregator for its status all the time.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile
import time

from load import start, wait_for_port
from runs import ROOT

PROBE = ROOT / "build/release/bench_status_probe"


def peak_mb(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    return 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=int, default=268_435_456)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--updates", type=int, default=4)
    parser.add_argument("--codec", default="none")
    options = parser.parse_args()
    model_mb = 4 * options.parameters / 1e6
    with tempfile.TemporaryDirectory(prefix="fl_large_") as name:
        folder = pathlib.Path(name)
        server = start(folder, "server", ["--role", "aggregator", "--port", "0"],
                       ["train.backend=echo", "model.name=flat", f"model.parameters={options.parameters}",
                        "strategy.buffer_size=1", "clients.minimum=1", "run.max_versions=0",
                        f"run.max_updates={options.updates}", f"upload.codec={options.codec}",
                        "store.snapshot_every=1000000"])
        port = wait_for_port(folder, server)
        probe = subprocess.Popen([str(PROBE), "127.0.0.1", port, "3600"], stdout=subprocess.PIPE, text=True)
        begun = time.monotonic()
        clients = [start(folder, f"c{index}", ["--role", "client", "--join", f"127.0.0.1:{port}", "--name", f"c{index}"],
                         ["train.backend=echo", "model.name=flat", "model.parameters=1"])
                   for index in range(options.clients)]
        peak = 0.0
        while server.poll() is None:
            try:
                peak = max(peak, peak_mb(server))
            except FileNotFoundError:
                break
            time.sleep(0.1)
        seconds = time.monotonic() - begun
        for client in clients:
            client.wait()
        count, median, p99, longest = map(float, probe.communicate()[0].split())
        summary = json.loads((folder / "server" / "summary.json").read_text())
    print(f"model {model_mb:.0f} MB, {options.clients} clients, upload.codec {options.codec}: "
          f"{summary['updates_accepted']} updates in {seconds:.0f} s, "
          f"{summary['bytes_up'] / 1e6:.0f} MB up, {summary['bytes_down'] / 1e6:.0f} MB down")
    print(f"server: {peak:.0f} MB at most, {peak / model_mb:.2f} times the model")
    print(f"status meanwhile: {count:.0f} answers, median {median:.1f} ms, 99th percentile {p99:.1f} ms, longest {longest:.0f} ms")


if __name__ == "__main__":
    main()
