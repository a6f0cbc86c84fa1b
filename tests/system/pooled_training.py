"""The Python side of test_own_model.py; needs torch, which the test's own interpreter may lack.

  pooled_training.py accuracy MODEL.pt MNIST_DIR            test accuracy of a TorchScript model, one line of JSON
  pooled_training.py train MODEL.pt MNIST_DIR STEPS RATE    the same after so many batches of 32 on all training samples
"""

import gzip
import json
import pathlib
import sys

import torch


def read_idx(folder, name):
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            data = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
            dimensions = data[3]
            shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(dimensions)]
            return torch.frombuffer(bytearray(data[4 + 4 * dimensions:]), dtype=torch.uint8).reshape(shape)
    sys.exit(f"no {name} in {folder}")


def read_mnist(folder, part):
    images = read_idx(folder, f"{part}-images-idx3-ubyte").float().div(255).sub(0.5).div(0.5).unsqueeze(1)
    return images, read_idx(folder, f"{part}-labels-idx1-ubyte").long()


def accuracy(model, folder):
    images, labels = read_mnist(folder, "t10k")
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in zip(images.split(500), labels.split(500)))
    return right / len(labels)


def train(model, folder, steps, rate):
    images, labels = read_mnist(folder, "train")
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    torch.manual_seed(2)
    order = torch.cat([torch.randperm(len(labels)) for _ in range(32 * steps // len(labels) + 1)])
    model.train()
    for rows in order[:32 * steps].split(32):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
        optimizer.step()


def main():
    torch.set_num_threads(2)
    model = torch.jit.load(sys.argv[2])
    folder = pathlib.Path(sys.argv[3])
    if sys.argv[1] == "train":
        train(model, folder, int(sys.argv[4]), float(sys.argv[5]))
    parameters = [name for name, _ in model.named_parameters()]
    print(json.dumps({"accuracy": accuracy(model, folder), "parameters": parameters}))


if __name__ == "__main__":
    main()
