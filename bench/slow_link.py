#!/usr/bin/env python3
"""Time to an accuracy over slow links: real processes, each client behind a link of 5 Mbit/s of its own (network
namespaces and tc tbf, which need root), for several codecs side by side.

  bench/slow_link.py [--rate 5mbit] [--accuracy 0.95] [--clients 3] [--codec UP[,DOWN]]…
"""

import argparse
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from load import wait_for_port
from runs import NODE, ROOT, settings_of

CODECS = ["none", "int8", "top_k:0.01+int8", "int8,xor", "top_k:0.01+int8,top_k:0.02+int8"]


def sh(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


class Links:
    """A bridge in a namespace for the server, and a namespace with a limited link to it for each client."""

    def __init__(self, clients, rate):
        self.prefix = f"fl{os.getpid() % 10000}"
        self.server = self.prefix + "s"
        self.clients = [f"{self.prefix}c{index}" for index in range(clients)]
        for namespace in (self.server, *self.clients):
            sh("ip", "netns", "add", namespace)
            sh("ip", "-n", namespace, "link", "set", "lo", "up")
        sh("ip", "-n", self.server, "link", "add", "br0", "type", "bridge")
        sh("ip", "-n", self.server, "addr", "add", "10.77.0.1/24", "dev", "br0")
        sh("ip", "-n", self.server, "link", "set", "br0", "up")
        for index, namespace in enumerate(self.clients):
            here, there = f"v{index}", "eth0"
            sh("ip", "link", "add", here, "netns", self.server, "type", "veth", "peer", "name", there, "netns", namespace)
            sh("ip", "-n", self.server, "link", "set", here, "master", "br0", "up")
            sh("ip", "-n", namespace, "addr", "add", f"10.77.0.{index + 2}/24", "dev", there)
            sh("ip", "-n", namespace, "link", "set", there, "up")
            for where, device in ((self.server, here), (namespace, there)):
                sh("tc", "-n", where, "qdisc", "add", "dev", device, "root", "tbf", "rate", rate, "burst", "32kbit",
                   "latency", "400ms")

    def remove(self):
        for namespace in (self.server, *self.clients):
            subprocess.run(["ip", "netns", "del", namespace], stderr=subprocess.DEVNULL)


def start(namespace, folder, name, arguments, settings):
    log = open(folder / f"{name}.log", "w")
    return subprocess.Popen(["ip", "netns", "exec", namespace, str(NODE), *arguments, "--no-progress", "--out",
                             str(folder / name), *settings_of(settings)], cwd=ROOT, stdout=log, stderr=log)


def run(links, codec, accuracy):
    up, down = (codec.split(",") + ["none"])[:2]
    plain = ["net.allow_plaintext=true"]
    with tempfile.TemporaryDirectory(prefix="fl_slow_link_") as name:
        folder = pathlib.Path(name)
        server = start(links.server, folder, "server", ["--role", "aggregator", "--port", "0", "--bind", "0.0.0.0"],
                       [*plain, f"clients.count={len(links.clients)}", "strategy.name=fedavg", "train.steps=40",
                        "train.learning_rate=0.1", "run.max_versions=0", "run.max_seconds=900",
                        f"run.target_accuracy={accuracy}", f"upload.codec={up}", f"download.codec={down}"])
        port = wait_for_port(folder, server)
        begun = time.monotonic()
        clients = [start(namespace, folder, f"c{index}", ["--role", "client", "--join", f"10.77.0.1:{port}", "--name",
                                                          f"c{index}"], plain)
                   for index, namespace in enumerate(links.clients)]
        for process in itertools.chain([server], clients):
            process.wait()
        seconds = time.monotonic() - begun
        if not (folder / "server" / "summary.json").exists():
            sys.exit((folder / "server.log").read_text())
        summary = json.loads((folder / "server" / "summary.json").read_text())
    return seconds, summary


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", default="5mbit")
    parser.add_argument("--accuracy", type=float, default=0.95)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--codec", action="append")
    options = parser.parse_args()
    links = Links(options.clients, options.rate)
    try:
        print(f"{options.clients} clients behind {options.rate} each, MNIST, to {options.accuracy:.0%}\n")
        print("| upload.codec, download.codec | seconds | of dense | versions | up | down | reached |\n|---|---|---|---|---|---|---|")
        dense = None
        for codec in options.codec or CODECS:
            seconds, summary = run(links, codec, options.accuracy)
            dense = dense or seconds
            print(f"| `{codec}` | {seconds:.0f} | {seconds / dense:.2f} | {summary['model_version']} | "
                  f"{summary['bytes_up'] / 1e6:.1f} MB | {summary['bytes_down'] / 1e6:.1f} MB | "
                  f"{summary['best_accuracy']:.4f} |", flush=True)
    finally:
        links.remove()


if __name__ == "__main__":
    main()
