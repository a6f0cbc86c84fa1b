#!/usr/bin/env python3
"""What balancing and augmentation do for clients with few labels: 100 clients on MNIST, ten of whom train each version
(synchronous, so that runs with one seed have the same clients), mlp_2nn, the same number of batches for every method.

  bench/balance.py [--seeds N] [--versions N] [--results FILE] [--table-only]

Accuracy is the mean of the last eight evaluations: with so few labels to a client it swings from version to version.
Results are kept in FILE as they come (default: build/balance.jsonl). Prints the table of docs/data.md.
"""

import argparse
import pathlib
import statistics

import runs

SETTINGS = ["strategy.name=fedavg", "model.name=mlp_2nn", "clients.count=100", "clients.fraction=0.1", "train.steps=20",
            "train.learning_rate=0.05", "evaluate.every=5", "store.snapshot_every=1000"]
PARTITIONS = {
    "shards, 2 labels": ["data.partition=shards", "data.shards_per_client=2"],
    "Dirichlet 0.3": ["data.partition=dirichlet", "data.dirichlet_alpha=0.3"],
}
NONE = "none"
METHODS = {
    NONE: [],
    "oversample": ["data.balance=oversample"],
    "augment the rare": ["data.balance=augment"],
    "class-balanced loss, β = 0.999": ["train.class_balance=0.999"],
    "augment all": ["data.augment=true"],
    "augment all, oversample": ["data.augment=true", "data.balance=oversample"],
}
EVALUATIONS = 8


def run(partition, method, seed, versions):
    before = runs.cpu_seconds()
    _, metrics = runs.simulate([*SETTINGS, *PARTITIONS[partition], *METHODS[method], f"run.seed={seed}",
                                f"run.max_versions={versions}"])
    cpu = runs.cpu_seconds() - before
    measured = [m["eval_accuracy"] for m in metrics if m["eval_accuracy"] is not None]
    return {"accuracy": statistics.mean(measured[-EVALUATIONS:]), "cpu": cpu}


def table(results, seeds, versions):
    lines = ["| method |" + "".join(f" {p}: accuracy | against none, points |" for p in PARTITIONS) + " CPU time |",
             "|---|" + "---|---|" * len(PARTITIONS) + "---|"]
    for method in METHODS:
        line = f"| {method} |"
        costs = []
        for partition in PARTITIONS:
            pairs = [(results[partition, method, s, versions], results[partition, NONE, s, versions]) for s in seeds
                     if (partition, method, s, versions) in results and (partition, NONE, s, versions) in results]
            if not pairs:
                line += " | |"
                continue
            gained = [100 * (one["accuracy"] - none["accuracy"]) for one, none in pairs]
            costs += [one["cpu"] / none["cpu"] for one, none in pairs]
            line += (f" {statistics.mean(one['accuracy'] for one, _ in pairs):.4f} | {statistics.mean(gained):+.2f} "
                     f"({min(gained):+.2f} to {max(gained):+.2f}) |")
        lines.append(f"{line} {statistics.median(costs):.2f} of none |" if costs else line + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--versions", type=int, default=200)
    parser.add_argument("--results", default=runs.ROOT / "build/balance.jsonl", type=pathlib.Path)
    parser.add_argument("--table-only", action="store_true")
    arguments = parser.parse_args()
    seeds = range(1, arguments.seeds + 1)
    cases = [(p, m, s, arguments.versions) for s in seeds for p in PARTITIONS for m in METHODS]
    results = runs.kept_results(arguments.results, [] if arguments.table_only else cases, run)
    print(table(results, seeds, arguments.versions))


if __name__ == "__main__":
    main()
