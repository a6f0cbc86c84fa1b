"""The seed's job, synchronous and asynchronous: accuracy and time of the same 30 updates, with even and uneven clients.

Real MNIST, simple_cnn, 3 clients of 20,000 images, batch 32, learning rate 0.01, one epoch an update. Uneven: one client
takes twice, one three times as long, on the real clock.
"""

import argparse
import statistics

from runs import simulate

CONFIG = "configs/seed_mnist.toml"
SYNC = ["strategy.name=fedavg", "run.max_versions=10"]
# Three answers to one version are added up here where the synchronous job takes their mean; 0.7 of each keeps the sum
# from overshooting.
ASYNC = ["strategy.name=fedavg_async", "strategy.server_learning_rate=0.7", "run.max_versions=0", "run.max_updates=30",
         "evaluate.every=3"]
UNEVEN = ["clients.speed_list=1,2,3"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--uneven", action="store_true", help="only the uneven clients")
    parser.add_argument("--even", action="store_true", help="only the even clients")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--only", choices=["sync", "async"])
    options = parser.parse_args()
    jobs = {}
    if not options.uneven:
        jobs |= {"sync": SYNC, "async": ASYNC}
    if not options.even:
        jobs |= {"sync, uneven": SYNC + UNEVEN, "async, uneven": ASYNC + UNEVEN}
    if options.only:
        jobs = {name: settings for name, settings in jobs.items() if name.split(",")[0] == options.only}
    results = {name: [] for name in jobs}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for name, settings in jobs.items():
            summary, lines = simulate([*settings, f"run.seed={seed}", f"train.precision={options.precision}"], CONFIG)
            results[name].append((summary["final_accuracy"], summary["wall_seconds"]))
            print(f"seed {seed} {name:14} accuracy {summary['final_accuracy']:.4f} wall {summary['wall_seconds']:7.1f} s "
                  f"updates {summary['updates_accepted']} " +
                  " ".join(f"{line['eval_accuracy']:.3f}" for line in lines if line["eval_accuracy"]), flush=True)
    print(f"\n{'job':14} {'accuracy (mean)':>16} {'wall s (mean)':>14}")
    for name, values in results.items():
        print(f"{name:14} {statistics.mean(v[0] for v in values):16.4f} {statistics.mean(v[1] for v in values):14.1f}")
    for kind in ["", ", uneven"]:
        if "sync" + kind in results and "async" + kind in results:
            sync, other = results["sync" + kind], results["async" + kind]
            print(f"async{kind} / sync{kind}: wall {sum(v[1] for v in other) / sum(v[1] for v in sync):.2f}, accuracy "
                  f"{100 * (statistics.mean(v[0] for v in other) - statistics.mean(v[0] for v in sync)):+.2f} points")


if __name__ == "__main__":
    main()
