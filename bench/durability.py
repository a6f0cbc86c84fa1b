"""What it costs to acknowledge nothing before it is on disk: 1.2 M parameters, ten echo clients over loopback.

Each repetition measures, one after the other: updates a second with store.durability = "snapshot", the same with
"update", and what the disk can do at best with the same bytes: sequential files of one update each, written and
fdatasync'ed, with one flush of the folder for as many as there are clients. The target is 0.85 of the smaller of the
two others. The rates go up and down with whatever else uses the disk, so the ratio is taken within each repetition.
"""

import argparse
import os
import tempfile
import time

from runs import federate, median, steady_rate

CLIENTS = 10
PARAMETERS = 1_200_000
TARGET = 0.85


def disk_rate(size, count):
    """Updates a second that the disk takes when nothing but it has to be waited for."""
    data = os.urandom(size)
    with tempfile.TemporaryDirectory(prefix="fl_bench_") as path:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        begin = time.monotonic()
        for i in range(count):
            file = os.open(f"{path}/{i}", os.O_WRONLY | os.O_CREAT)
            os.write(file, data)
            os.fdatasync(file)
            os.close(file)
            if i % CLIENTS == CLIENTS - 1:
                os.fsync(folder)
        seconds = time.monotonic() - begin
        os.close(folder)
    return count / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--versions", type=int, default=300, help="of two updates each (K = clients / 4)")
    parser.add_argument("--snapshot-every", type=int, default=1_000_000,
                        help="versions; by default none, so that the commits alone are measured")
    options = parser.parse_args()
    echo = ["train.backend=echo", "model.name=flat", f"model.parameters={PARAMETERS}", f"clients.count={CLIENTS}"]

    def rate(durability):
        _, lines = federate([*echo, f"run.max_versions={options.versions}",
                             f"store.snapshot_every={options.snapshot_every}",
                             f"store.durability={durability}"], echo, CLIENTS)
        return steady_rate(lines)

    rows = []
    print(f"{'snapshot/s':>10} {'update/s':>9} {'disk/s':>7} {'disk MB/s':>10} {'ratio':>6}")
    for _ in range(options.repetitions):
        snapshot, update, disk = rate("snapshot"), rate("update"), disk_rate(4 * PARAMETERS, 100)
        rows.append((snapshot, update, disk, update / min(snapshot, disk)))
        print(f"{snapshot:10.1f} {update:9.1f} {disk:7.1f} {disk * 4 * PARAMETERS / 1e6:10.0f} {rows[-1][3]:6.2f}",
              flush=True)
    ratio = median([row[3] for row in rows])
    print(f"median ratio {ratio:.2f}, target {TARGET}: {'reached' if ratio >= TARGET else 'missed'}; medians: "
          f"snapshot {median([row[0] for row in rows]):.1f}/s, update {median([row[1] for row in rows]):.1f}/s, "
          f"disk {median([row[2] for row in rows]):.1f}/s")


if __name__ == "__main__":
    main()
