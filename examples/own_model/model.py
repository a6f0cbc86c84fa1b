#!/usr/bin/env python3
"""Writes a model of one's own for fl_actor_node: a small CNN with batch norm and dropout, for images [1, 28, 28].

  python3 model.py model.pt
  fl_actor_node --role simulate --set model.file=model.pt

Whatever torch.jit.script takes will do: forward(x) gets a batch and returns logits, one a class (train.loss =
"cross_entropy"), or one number a sample ("bce", "mse", "huber"). The values in the file are version 0 of the run.
"""

import sys

import torch
from torch import nn


class SmallCnn(nn.Module):
    def __init__(self, classes: int = 10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.25), nn.Linear(32 * 5 * 5, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.manual_seed(1)
    torch.jit.script(SmallCnn()).save(sys.argv[1])


if __name__ == "__main__":
    main()
