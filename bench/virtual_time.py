#!/usr/bin/env python3
"""What virtual time costs: a hundred clients that really train, against the bare training of the same tasks on plain
threads; clients that train nothing, in tasks a second; and the memory of very many clients.

  bench/virtual_time.py [--repetitions N] [--updates N]

Prints a line for each: the training runs alternate with their baseline, and medians are compared.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

from runs import ROOT, median, simulate_in

ECHO = ["simulate.clock=virtual", "train.backend=echo", "model.name=flat", "model.parameters=1000", "train.echo_seconds=1",
        "clients.speed=lognormal", "run.max_versions=0", "strategy.buffer_size=1000", "schedule.max_concurrent=1000",
        "store.snapshot_every=1000000"]


def training(folder, arguments):
    for strategy in ["fedavg_async", "fedavg"]:
        ratios, walls = [], []
        for i in range(arguments.repetitions):
            out = folder / f"{strategy}-{i}"
            summary = simulate_in(out, [f"strategy.name={strategy}", f"run.max_updates={arguments.updates}"],
                               "configs/uneven_100.toml")
            bare = json.loads(subprocess.run([str(ROOT / "build/release/bench_torch_fleet"), str(out)], cwd=ROOT,
                                             check=True, stdout=subprocess.PIPE).stdout)
            ratios.append(summary["wall_seconds"] / bare["seconds"])
            walls.append((summary["wall_seconds"], bare["seconds"]))
        print(f"100 clients, {strategy}: {summary['updates_accepted']} updates, "
              f"{summary['virtual_seconds'] / 60:.0f} min simulated; wall time over that of the bare training, median of "
              f"{arguments.repetitions}: {median(ratios):.3f}   "
              f"({', '.join(f'{wall:.1f}/{bare:.1f} s' for wall, bare in walls)})", flush=True)


def echo(folder, clients, updates, repetitions):
    rates, memory, events = [], [], []
    for i in range(repetitions):
        summary = simulate_in(folder / f"echo-{clients}-{i}", [*ECHO, f"clients.count={clients}", f"run.max_updates={updates}"])
        rates.append(summary["updates_accepted"] / summary["wall_seconds"])
        memory.append(summary["peak_rss_bytes"] / 1e6)
        events.append(summary["events"] / summary["updates_accepted"])
    print(f"{clients:>9,} clients that train nothing, 1,000 parameters: {median(rates):,.0f} tasks/s, "
          f"{median(events):.2f} events a task, {median(memory):,.0f} MB at most", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--updates", type=int, default=1500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fl_virtual_") as name:
        folder = pathlib.Path(name)
        for clients in [1_000, 100_000, 1_000_000]:
            echo(folder, clients, 300_000, arguments.repetitions)
        training(folder, arguments)


if __name__ == "__main__":
    main()
