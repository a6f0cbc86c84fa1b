"""One client ten times slower than three others: how much of the ideal rate is reached (promise 1).

Echo clients of 0.2 s and one of 2 s: 3 / 0.2 + 1 / 2 = 15.5 updates a second if nobody waits for anybody. The synchronous
strategy waits for the slowest in each round: 4 updates in 2 s.
"""

import argparse

from runs import median, simulate

ECHO_SECONDS = 0.2
SPEEDS = [1, 1, 1, 10]
ECHO = ["train.backend=echo", "model.name=flat", "model.parameters=1200000", f"train.echo_seconds={ECHO_SECONDS}",
        f"clients.count={len(SPEEDS)}", f"clients.speed_list={','.join(map(str, SPEEDS))}", "run.max_versions=0"]


def rate(strategy, seconds):
    summary, _ = simulate([*ECHO, f"strategy.name={strategy}", f"run.max_seconds={seconds}"])
    return summary["updates_accepted"] / summary["wall_seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    ideal = sum(1 / (ECHO_SECONDS * speed) for speed in SPEEDS)
    rows = {name: median([rate(name, options.seconds) for _ in range(options.repetitions)])
            for name in ["fedavg_async", "fedavg"]}
    print(f"{'strategy':14} {'updates/s':>10} {'of ideal ' + format(ideal, '.1f'):>14}")
    for name, value in rows.items():
        print(f"{name:14} {value:10.2f} {value / ideal:14.1%}")


if __name__ == "__main__":
    main()
