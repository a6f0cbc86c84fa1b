#!/usr/bin/env python3
"""The tutorial's federated averaging in Python, as a baseline: three clients train SimpleCNN on 20,000 MNIST images
each, one after another with torch's default thread settings, and the server takes the mean of their weights.

    /usr/bin/python3 bench/seed_program.py [--rounds 1] [--data data/mnist] [--fraction 1]

Prints the seconds of each round, evaluation excluded. Needs torch and numpy (Debian: python3-torch).
"""

import argparse
import pathlib
import struct
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

CLIENTS = 3


class SimpleCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


def read_idx(path):
    """An IDX file of bytes as an array: magic 0x0000 08 <dimensions>, big-endian extents, values."""
    data = path.read_bytes()
    dimensions = data[3]
    extents = struct.unpack(f">{dimensions}I", data[4 : 4 + 4 * dimensions])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(extents)


def load(folder, part):
    images = torch.from_numpy(read_idx(folder / f"{part}-images-idx3-ubyte").astype(np.float32))
    labels = torch.from_numpy(read_idx(folder / f"{part}-labels-idx1-ubyte").astype(np.int64))
    return torch.utils.data.TensorDataset(((images / 255 - 0.5) / 0.5).unsqueeze(1), labels)


def train(weights, samples):
    model = SimpleCNN()
    model.load_state_dict(weights)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for x, y in torch.utils.data.DataLoader(samples, batch_size=32, shuffle=True):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.state_dict()


@torch.no_grad()
def accuracy(weights, samples):
    model = SimpleCNN()
    model.load_state_dict(weights)
    model.eval()
    batches = torch.utils.data.DataLoader(samples, batch_size=128)
    return sum((model(x).argmax(1) == y).sum().item() for x, y in batches) / len(samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data/mnist"))
    parser.add_argument("--fraction", type=float, default=1.0, help="of the training samples, for a quick look")
    arguments = parser.parse_args()

    torch.manual_seed(1)
    samples = load(arguments.data, "train")
    test = load(arguments.data, "t10k")
    each = int(len(samples) * arguments.fraction) // CLIENTS
    order = torch.randperm(len(samples)).tolist()
    parts = [torch.utils.data.Subset(samples, order[i * each : (i + 1) * each]) for i in range(CLIENTS)]
    weights = SimpleCNN().state_dict()
    for number in range(1, arguments.rounds + 1):
        start = time.perf_counter()
        trained = [train(weights, part) for part in parts]
        weights = {name: torch.stack([state[name] for state in trained]).mean(0) for name in weights}
        seconds = time.perf_counter() - start
        print(
            f"round {number}: {seconds:.1f} s for {each * CLIENTS} samples on {torch.get_num_threads()} threads, "
            f"accuracy {accuracy(weights, test):.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
