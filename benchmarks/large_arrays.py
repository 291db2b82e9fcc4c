#!/usr/bin/env python3
"""Threads of two nodes that use one large array (large_arrays.ir), and the same through a Unix socket.

    large_arrays.py --bin build/release/bin [--against OTHER/bin] [--elements N] [--repetitions N] [--smoke] [--json FILE]

The array is at home on node 0. Medians for a thread at home and for one on the other node; `halves` is both at once. Beside
`sum`, whose bytes all come over, the same bytes through a Unix socket between two processes, in turns with it. With
--against, runs of another build in turns with those.
"""
import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ALONE = ("first", "sum", "again", "gather", "touch")


def run(folder, elements, rounds):
    """{(node, what): microseconds}, and {"halves": microseconds}"""
    done = subprocess.run([folder / "jvmcluster", "run", "--nodes", "2", "--workers", "1", "--mode", "jit", "--balance", "off",
                           HERE / "large_arrays.ir", str(elements), str(rounds)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    measured = {"halves" if what == "halves" else (int(node), what): int(nanos) / 1000 for node, what, nanos in lines}
    if len(measured) != 2 * len(ALONE) + 1:
        sys.exit(f"not all was measured, or not on both nodes: {list(measured)}")
    return measured


def copy(size):
    """Microseconds for so many bytes through a Unix socket."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        theirs.sendall(bytes(size))
        os._exit(0)
    theirs.close()
    buffer, left, begun = bytearray(1 << 20), size, None
    while left > 0:
        left -= ours.recv_into(buffer)
        begun = begun or time.perf_counter()
    took = time.perf_counter() - begun
    ours.close()
    os.waitpid(child, 0)
    return took * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--against", type=pathlib.Path)
    parser.add_argument("--elements", type=int, default=4_000_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    builds = {"": args.bin} | ({", the other build": args.against} if args.against else {})
    elements, rounds = (20_000, 5) if args.smoke else (args.elements, 20)
    series = {build: [] for build in builds}
    copies = []
    for _ in range(1 if args.smoke else args.repetitions):
        for build, folder in builds.items():
            series[build].append(run(folder, elements, rounds))
        copies.append(copy(8 * elements))
    report = {"elements": elements, "copyMicros": statistics.median(copies)}
    print(f"{8 * elements / 2**20:.1f} MiB through a socket: {report['copyMicros']:.0f} us")
    for build, runs in series.items():
        print(f"{'us' + build:32} {'at home':>12} {'elsewhere':>12}")
        for what in ALONE:
            home, elsewhere = (statistics.median(each[node, what] for each in runs) for node in (0, 1))
            report[what + build] = {"homeMicros": home, "elsewhereMicros": elsewhere}
            print(f"{what:32} {home:12.1f} {elsewhere:12.1f}")
        report["halves" + build] = statistics.median(each["halves"] for each in runs)
        print(f"{'halves':32} {report['halves' + build]:12.1f}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
