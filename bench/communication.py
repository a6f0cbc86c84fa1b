#!/usr/bin/env python3
"""Accuracy against bytes for each codec: federations of 10 clients on MNIST (Dirichlet 0.5), synchronous, so that runs with
one seed train on the same samples. Every figure stands beside that of the dense run with the same seeds.

  bench/communication.py [--seeds N] [--versions N] [--results FILE] [--table-only]

Results are kept in FILE as they come (default: build/communication.jsonl), a line a run, and runs that are there are not
repeated. Prints the table of docs/communication.md and writes the plot beside it (docs/communication.svg).
"""

import argparse
import math
import pathlib
import statistics

import runs

SETTINGS = ["strategy.name=fedavg", "clients.count=10", "data.partition=dirichlet", "data.dirichlet_alpha=0.5",
            "train.steps=20", "train.learning_rate=0.1", "store.snapshot_every=1000"]
DENSE = "none"
# Name in the table: settings beside those above.
CLAIMED = {
    DENSE: [],
    "int8": ["upload.codec=int8"],
    "int4": ["upload.codec=int4"],
    "top_k:0.01+int8": ["upload.codec=top_k:0.01+int8"],
    "top_k:0.01+int8, warm-up": ["upload.codec=top_k:0.01+int8", "upload.warmup_versions=8"],
    "top_k:0.01+int8, download top_k:0.02+int8": ["upload.codec=top_k:0.01+int8",
                                                  "download.codec=top_k:0.02+int8"],
    "top_k:0.01+int8, download xor": ["upload.codec=top_k:0.01+int8", "download.codec=xor"],
}
OTHERS = {
    "sign": ["upload.codec=sign"],
    "fp16": ["upload.codec=fp16"],
    "qsgd:7": ["upload.codec=qsgd:7"],
    "random_k:0.1": ["upload.codec=random_k:0.1"],
    "int4, 90 % pruned": ["upload.codec=int4", "train.prune_ratio=0.9", "train.prune_versions=30"],
}
CODECS = CLAIMED | OTHERS


def run(codec, seed, versions):
    before = runs.cpu_seconds()
    summary, metrics = runs.simulate([*SETTINGS, f"run.max_versions={versions}", f"run.seed={seed}",
                                      f"evaluate.every={max(1, versions // 12)}", *CODECS[codec]])
    cpu = runs.cpu_seconds() - before
    curve = [(m["bytes_up"] + m["bytes_down"], m["eval_accuracy"]) for m in metrics if m["eval_accuracy"] is not None]
    return {"accuracy": summary["final_accuracy"],
            "up": summary["bytes_up"], "down": summary["bytes_down"], "wall": summary["wall_seconds"], "cpu": cpu,
            "curve": curve}


def table(of, seeds):
    lines = ["| codec | seeds | accuracy | less than dense, points | up | fewer | down | fewer | both ways, fewer | wall | CPU time |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]
    for codec in CODECS:
        done = [seed for seed in seeds if (codec, seed) in of and (DENSE, seed) in of]
        if not done:
            continue
        mean = lambda key, c=codec: statistics.mean(of[c, seed][key] for seed in done)  # noqa: E731
        lost = [100 * (of[DENSE, seed]["accuracy"] - of[codec, seed]["accuracy"]) for seed in done]
        spread = f" ({min(lost):.2f} to {max(lost):.2f})" if len(done) > 1 else ""
        up, down = mean("up"), mean("down")
        dense_up, dense_down = mean("up", DENSE), mean("down", DENSE)
        lines.append(f"| `{codec}` | {len(done)} | {mean('accuracy'):.4f} | {statistics.mean(lost):.2f}{spread} | {up / 1e6:.1f} MB | "
                     f"{dense_up / up:.1f}× | {down / 1e6:.1f} MB | {dense_down / down:.1f}× | "
                     f"{(dense_up + dense_down) / (up + down):.1f}× | {mean('wall') / mean('wall', DENSE):.2f} of dense | "
                     f"{mean('cpu') / mean('cpu', DENSE):.2f} of dense |")
    return "\n".join(lines)


def plot(results, seeds, path):
    """Accuracy of the first seed over megabytes both ways, on a logarithmic axis."""
    curves = {codec: results[codec, seeds[0]]["curve"] for codec in CODECS
              if (codec, seeds[0]) in results and results[codec, seeds[0]]["curve"]}
    points = [(max(b, 1) / 1e6, a) for curve in curves.values() for b, a in curve]
    if not points:
        return
    low, high = (f(math.log10(max(b, 0.1)) for b, _ in points) for f in (min, max))
    bottom = min(a for _, a in points)
    left, top, width, height = 60, 20, 560, 360
    x = lambda b: left + width * (math.log10(max(b / 1e6, 0.1)) - low) / max(high - low, 1e-9)  # noqa: E731
    y = lambda a: top + height * (1 - (a - bottom) / max(1 - bottom, 1e-9))  # noqa: E731
    colours = ["#1b1b1b", "#c0392b", "#2471a3", "#1e8449", "#b9770e", "#7d3c98", "#117a65", "#5d6d7e", "#d35400",
               "#2e4053", "#a93226", "#6c3483"]
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 980 430" font-family="sans-serif" font-size="12">',
           '<rect width="980" height="430" fill="white"/>',
           f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="#888"/>']
    for power in range(math.floor(low), math.ceil(high) + 1):
        if low <= power <= high:
            at = x(10 ** power * 1e6)
            svg.append(f'<path d="M{at:.1f} {top}V{top + height}" stroke="#ddd"/>'
                       f'<text x="{at:.1f}" y="{top + height + 18}" text-anchor="middle">{10 ** power:g}</text>')
    for tenth in range(10):
        level = 1 - 0.05 * tenth
        if level >= bottom:
            svg.append(f'<path d="M{left} {y(level):.1f}H{left + width}" stroke="#eee"/>'
                       f'<text x="{left - 6}" y="{y(level) + 4:.1f}" text-anchor="end">{level:.2f}</text>')
    svg.append(f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">'
               'megabytes up and down, all clients</text>'
               f'<text x="{left}" y="14">test accuracy</text>')
    for index, (codec, curve) in enumerate(curves.items()):
        colour = colours[index % len(colours)]
        line = " ".join(f"{x(b):.1f},{y(a):.1f}" for b, a in curve)
        svg.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
                   f'<path d="M640 {40 + 22 * index}h24" stroke="{colour}" stroke-width="3"/>'
                   f'<text x="672" y="{44 + 22 * index}">{codec}</text>')
    path.write_text("\n".join([*svg, "</svg>"]) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--versions", type=int, default=60)
    parser.add_argument("--results", default=runs.ROOT / "build/communication.jsonl", type=pathlib.Path)
    parser.add_argument("--table-only", action="store_true")
    arguments = parser.parse_args()
    seeds = list(range(1, arguments.seeds + 1))
    # Those that the documentation makes claims on come first.
    cases = [(codec, seed, arguments.versions) for part in (CLAIMED, OTHERS) for seed in seeds for codec in part]
    kept = runs.kept_results(arguments.results, [] if arguments.table_only else cases, run)
    results = {(codec, seed): result for (codec, seed, versions), result in kept.items()
               if versions == arguments.versions}
    print(table(results, seeds))
    plot(results, seeds, runs.ROOT / "docs/communication.svg")


if __name__ == "__main__":
    main()
