#!/usr/bin/env python3
"""Makes card payments of ten banks, about 1 in 100 a fraud, and a test set.

    make_payments.py [--out DIR] [--payments N] [--seed N]

DIR/banks/bank_00.csv … bank_09.csv and DIR/test.csv; the same seed makes the same files. N payments of all banks
together (default 100,000); bank k has a share proportional to 1 / (k + 1), so the largest has ten times the payments of
the smallest. The test set has a fifth as many, from all banks.

How a payment comes about, so that anyone can judge what a model could find:

  amount      log-normal, median 30, deviation 1.1 of the logarithm; fraud: median 140
  hour        0 to 23, around 15 with deviation 4.5; fraud: every second one is between 0 and 5
  category    food, fuel, travel, electronics, gambling; fraud prefers the last two
  abroad      0 or 1: 1 in 20; fraud: 2 in 5
  minutes     since the card's last payment, exponential with mean 900; fraud: mean 40. Unknown (empty) for new cards, 1 in 30
  distance    km from the last payment, exponential with mean 12; fraud: mean 90
  fraud       what is predicted

Banks differ: each has a rate of fraud of its own (0.4 % to 1.8 %), a scale of its amounts (0.6 to 1.7), and one kind of
fraud in ten passes for an honest payment in every column but one. So no rule on one column finds much, and 1 in 10 frauds
can hardly be found at all.
"""

import argparse
import csv
import math
import pathlib
import random

COLUMNS = ["payment", "amount", "hour", "category", "abroad", "minutes", "distance", "fraud"]
CATEGORIES = ["food", "fuel", "travel", "electronics", "gambling"]
BANKS = 10


class Bank:
    def __init__(self, index, dice):
        self.index = index
        self.fraud_rate = dice.uniform(0.004, 0.018)
        self.scale = dice.uniform(0.6, 1.7)

    def payment(self, number, dice):
        fraud = dice.random() < self.fraud_rate
        # What passes for honest shows in one column only.
        shown = set(range(6)) if fraud else set()
        if fraud and dice.random() < 0.1:
            shown = {dice.randrange(6)}
        amount = self.scale * (140 if 0 in shown else 30) * math.exp(1.1 * dice.gauss(0, 1))
        hour = dice.randrange(6) if 1 in shown and dice.random() < 0.5 else int(dice.gauss(15, 4.5)) % 24
        weights = [3, 2, 2, 6, 5] if 2 in shown else [10, 4, 2, 2, 0.5]
        abroad = int(dice.random() < (0.4 if 3 in shown else 0.05))
        minutes = dice.expovariate(1 / (40 if 4 in shown else 900))
        distance = dice.expovariate(1 / (90 if 5 in shown else 12))
        return [f"{self.index:02}-{number:06}", f"{amount:.2f}", hour, dice.choices(CATEGORIES, weights)[0], abroad,
                "" if dice.random() < 1 / 30 else f"{minutes:.1f}", f"{distance:.1f}", int(fraud)]


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "data")
    parser.add_argument("--payments", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    banks = [Bank(index, dice) for index in range(BANKS)]
    shares = [1 / (index + 1) for index in range(BANKS)]
    counts = [max(50, round(options.payments * share / sum(shares))) for share in shares]
    (options.out / "banks").mkdir(parents=True, exist_ok=True)
    test = []
    for bank, count in zip(banks, counts):
        write(options.out / "banks" / f"bank_{bank.index:02}.csv",
              [bank.payment(number, dice) for number in range(count)])
        test += [bank.payment(count + number, dice) for number in range(max(10, count // 5))]
    dice.shuffle(test)
    write(options.out / "test.csv", test)
    frauds = sum(row[-1] for row in test)
    print(f"{options.out}: {sum(counts)} payments of {BANKS} banks ({counts[0]} to {counts[-1]}), "
          f"{len(test)} to test on, {frauds} of them frauds")


if __name__ == "__main__":
    main()
