"""Aggregator and ten echo clients as processes over loopback: updates a second and the server's memory.

The baseline of the same run is the least that an exchange can cost: as many processes that send and receive the same
bytes over bare TCP, one model down and one up an update, and do nothing with them.
"""

import argparse
import multiprocessing
import socket
import threading
import time

from runs import federate, median, steady_rate

CLIENTS = 10
# Parameters, versions of two updates each (K = clients / 4), what Flower 1.23 with ten echo clients reached on a machine
# of this kind: updates a second and the server's peak memory in MB. Flower is not part of this run.
SIZES = [(200_000, 1500, 205, 154), (1_200_000, 400, 58, 530), (25_000_000, 100, 1.1, 7200)]
CHUNK_BYTES = 1 << 20


def receive(connection, size, buffer):
    while size > 0:
        size -= connection.recv_into(buffer, min(size, len(buffer)))


def bare_client(port, size, count):
    buffer, data = bytearray(CHUNK_BYTES), bytes(CHUNK_BYTES)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(count):
            receive(connection, size, buffer)
            send(connection, size, data)


def send(connection, size, data):
    while size > 0:
        part = min(size, len(data))
        connection.sendall(memoryview(data)[:part])
        size -= part


def bare_exchange(size, count):
    """Exchanges a second over bare TCP with so many clients at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        clients = [multiprocessing.Process(target=bare_client, args=(port, size, count)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        connections = [server.accept()[0] for _ in clients]

        def serve(connection):
            buffer, data = bytearray(CHUNK_BYTES), bytes(CHUNK_BYTES)
            for _ in range(count):
                send(connection, size, data)
                receive(connection, size, buffer)

        begin = time.monotonic()
        threads = [threading.Thread(target=serve, args=(connection,)) for connection in connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begin
        for client in clients:
            client.join()
        for connection in connections:
            connection.close()
    return CLIENTS * count / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", type=int, help="this many parameters")
    parser.add_argument("--durability", default="snapshot", choices=["snapshot", "update"],
                        help="update: each is on disk before it is acknowledged, so the disk decides")
    options = parser.parse_args()
    print(f"{'parameters':>10} {'updates/s':>10} {'bare TCP/s':>11} {'ratio':>6} {'server MB':>10} {'models':>7} "
          f"{'Flower/s':>9} {'ratio':>7} {'Flower MB':>10}")
    for parameters, versions, flower_rate, flower_mb in SIZES:
        if options.only and parameters != options.only:
            continue
        echo = ["train.backend=echo", "model.name=flat", f"model.parameters={parameters}", f"clients.count={CLIENTS}"]
        rates, memory, bare = [], [], []
        for _ in range(options.repetitions):
            summary, lines = federate([*echo, f"run.max_versions={versions}", "store.snapshot_every=1000000",
                                        f"store.durability={options.durability}"], echo, CLIENTS)
            rates.append(steady_rate(lines))
            memory.append(summary["peak_rss_bytes"])
            bare.append(bare_exchange(4 * parameters, max(2, versions // 40)))
        rate, rss = median(rates), median(memory)
        print(f"{parameters:10} {rate:10.1f} {median(bare):11.1f} {rate / median(bare):6.2f} {rss / 1e6:10.0f} "
              f"{rss / (4 * parameters):7.1f} {flower_rate:9} {rate / flower_rate:7.1f} {flower_mb:10}", flush=True)


if __name__ == "__main__":
    main()
