#!/usr/bin/env python3
"""One object that a thread of another node uses all the time: lent to that node, and not.

    hot_object.py --bin build/release/bin [--count N] [--repetitions R] [--smoke] [--json FILE]

hot_object.ir on two nodes of one worker, in turns with JVMC_NO_LEASES=1. Medians, nanoseconds an operation: `add` is an
atomic addition to a volatile field, `write` an update of a plain field followed by one; `early` the first 100, `later`
the last half. `back`: what the first read at home takes after that, in all.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
KINDS = ("add-early", "add-later", "write-early", "write-later")
MEASURED = [(node, what) for node in (0, 1) for what in KINDS] + [(0, "back")]


def run(folder, count, loans):
    env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
    if not loans:
        env["JVMC_NO_LEASES"] = "1"
    done = subprocess.run([folder / "jvmcluster", "run", "--nodes", "2", "--workers", "1", "--mode", "jit", "--balance", "off",
                           HERE / "hot_object.ir", str(count)], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, check=True)
    *lines, result = done.stdout.splitlines()
    writes = 2 * (100 + 2 * (count // 2))
    if result != f"{2 * writes} {writes}":
        sys.exit(f"the fields hold {result}")
    measured = {(int(node), what): int(nanos) for node, what, nanos in map(str.split, lines)}
    if sorted(measured) != sorted(MEASURED):
        sys.exit(f"not all was measured, or not on both nodes: {list(measured)}")
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    series = {"lent": [], "not": []}
    for _ in range(1 if args.smoke else args.repetitions):
        for kind, runs in series.items():
            runs.append(run(args.bin, 200 if args.smoke else args.count, kind == "lent"))
    report = {}
    print(f"{'ns':24} {'lent':>10} {'not':>10}")
    for node, what in MEASURED:
        row = {kind: statistics.median(each[node, what] for each in runs) for kind, runs in series.items()}
        report[f"{what} on node {node}"] = row
        print(f"{what + f' on node {node}':24} {row['lent']:10.0f} {row['not']:10.0f}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
