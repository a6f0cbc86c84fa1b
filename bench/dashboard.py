#!/usr/bin/env python3
"""What a page that is open costs: the same training with and without somebody who follows the stream.

  bench/dashboard.py [--repetitions N]

Runs alternate; prints the ratio of their wall times, pair by pair, and the median.
"""

import argparse
import http.client
import json
import pathlib
import subprocess
import tempfile
import threading

from runs import NODE, ROOT, median, settings_of

SETTINGS = ["model.name=mlp_2nn", "clients.count=10", "run.max_versions=0", "run.max_updates=300", "dashboard.port=0"]


def follow(host):
    """Reads what the stream says until it ends."""
    connection = http.client.HTTPConnection(host, timeout=600)
    connection.request("GET", "/api/stream")
    answer = connection.getresponse()
    try:
        while answer.readline():
            pass
    except (http.client.HTTPException, OSError):
        pass


def run(watched):
    with tempfile.TemporaryDirectory(prefix="fl_dashboard_") as folder:
        out = pathlib.Path(folder) / "run"
        node = subprocess.Popen([str(NODE), "--role", "simulate", "--out", str(out), "--no-progress", "--dashboard",
                                 *settings_of(SETTINGS)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                text=True)
        for line in node.stderr:
            if watched and "dashboard at http://" in line:
                host = line.split("http://")[1].strip().rstrip("/")
                threading.Thread(target=follow, args=[host], daemon=True).start()
        if node.wait() != 0:
            raise SystemExit("the run failed")
        return json.loads((out / "summary.json").read_text())["wall_seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    ratios = []
    for _ in range(arguments.repetitions):
        alone, watched = run(False), run(True)
        ratios.append(watched / alone)
        print(f"{alone:.2f} s alone, {watched:.2f} s watched: {ratios[-1]:.3f}", flush=True)
    print(f"wall time with an open page over without, median of {len(ratios)}: {median(ratios):.3f}")


if __name__ == "__main__":
    main()
