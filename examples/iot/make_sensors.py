#!/usr/bin/env python3
"""Makes what 200 vibration sensors on machines measured, and a test set.

    make_sensors.py [--out DIR] [--sensors N] [--windows N] [--seed N]

DIR/sensors/sensor_000.csv … and DIR/test.csv; the same seed makes the same files. Each of N sensors has N windows of one
second (default 200 and 40), a row each:

  rms          root mean square of the acceleration, m/s²
  peak         its largest value, m/s²
  kurtosis     of its distribution: high when something knocks
  tone         share of the energy at the turning frequency
  high         share of the energy above 2 kHz: high when a bearing wears
  temperature  °C; sometimes missing
  state        what is predicted: idle, running, unbalanced or worn

The features are computed from a simulated second of acceleration at 8,192 Hz: noise, a tone at the turning frequency when
the machine runs, a stronger one when it is unbalanced, and decaying knocks when its bearing is worn. Each machine has its
own frequency, gain, noise and temperature, and sees mostly two of the four states: no sensor could learn all of them alone.
"""

import argparse
import csv
import math
import pathlib
import random

COLUMNS = ["rms", "peak", "kurtosis", "tone", "high", "temperature", "state"]
STATES = ["idle", "running", "unbalanced", "worn"]
SAMPLES = 512  # of a second; enough for these features, and sixteen times faster than all of them
RATE = 8192 / 16


class Machine:
    def __init__(self, dice):
        self.frequency = dice.uniform(18, 60)
        self.noise = dice.uniform(0.1, 0.5)
        self.gain = dice.uniform(0.5, 1.6)
        self.warmth = dice.gauss(35, 6)
        usual = dice.sample(range(4), 2)
        self.weights = [8 if state in usual else 1 for state in range(4)]

    def window(self, dice, state=None):
        if state is None:
            state = dice.choices(range(4), self.weights)[0]
        tone = self.gain * [0.1, 1, 1.7, 1.1][state] * dice.uniform(0.8, 1.25)
        phase = dice.uniform(0, 2 * math.pi)
        knocks = sorted(dice.randrange(SAMPLES) for _ in range(6)) if state == 3 else []
        signal = [tone * math.sin(2 * math.pi * self.frequency * i / RATE + phase) + dice.gauss(0, self.noise)
                  for i in range(SAMPLES)]
        for at in knocks:
            strength = self.gain * dice.uniform(0.4, 1.8)
            for i in range(at, min(at + 12, SAMPLES)):
                signal[i] += strength * (-1) ** i * math.exp(-(i - at) / 3)
        return self.features(signal, dice, state) + [STATES[state]]

    def features(self, signal, dice, state):
        energy = sum(x * x for x in signal)
        fourth = sum(x ** 4 for x in signal)
        omega = 2 * math.pi * self.frequency / RATE
        real = sum(x * math.cos(omega * i) for i, x in enumerate(signal))
        imaginary = sum(x * math.sin(omega * i) for i, x in enumerate(signal))
        steps = sum((a - b) ** 2 for a, b in zip(signal, signal[1:]))  # grows with the frequency
        temperature = self.warmth + [0, 8, 10, 13][state] + dice.gauss(0, 4)
        return [f"{math.sqrt(energy / SAMPLES):.4f}", f"{max(abs(x) for x in signal):.4f}",
                f"{SAMPLES * fourth / energy ** 2:.3f}",
                f"{2 * (real ** 2 + imaginary ** 2) / (SAMPLES * energy):.4f}", f"{steps / (4 * energy):.4f}",
                "" if dice.random() < 0.05 else f"{temperature:.1f}"]


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "data")
    parser.add_argument("--sensors", type=int, default=200)
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    (options.out / "sensors").mkdir(parents=True, exist_ok=True)
    test = []
    for index in range(options.sensors):
        machine = Machine(dice)
        write(options.out / "sensors" / f"sensor_{index:03}.csv",
              [machine.window(dice) for _ in range(options.windows)])
        # Every state of every machine: who has never seen one is to know it from the others.
        test += [machine.window(dice, state) for state in range(4)]
    dice.shuffle(test)
    write(options.out / "test.csv", test)
    print(f"{options.out}: {options.sensors} sensors with {options.windows} windows each, {len(test)} to test on")


if __name__ == "__main__":
    main()
