#!/usr/bin/env python3
"""Objects that nobody changes, read on another node again and again, each time after an acquire: with leases and without.

    leases.py --bin build/release/bin [--objects N] [--walks K] [--repetitions R] [--smoke] [--json FILE]

leases.ir on two nodes of one worker, in turns with JVMC_NO_LEASES=1. Medians, nanoseconds an object: `early` are the
first walks of the list, `later` the last half of all; `store` writes a field of each at home when they are leased.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
MEASURED = [(0, "early"), (0, "later"), (1, "early"), (1, "later"), (0, "store")]


def run(folder, objects, walks, leases):
    env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
    if not leases:
        env["JVMC_NO_LEASES"] = "1"
    done = subprocess.run([folder / "jvmcluster", "run", "--nodes", "2", "--workers", "1", "--mode", "jit", "--balance", "off",
                           HERE / "leases.ir", str(objects), str(walks)], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    measured = {(int(node), what): int(nanos) for node, what, nanos in lines}
    if sorted(measured) != sorted(MEASURED):
        sys.exit(f"not all was measured, or not on both nodes: {list(measured)}")
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--walks", type=int, default=2000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    objects, walks = (50, 20) if args.smoke else (args.objects, args.walks)
    series = {"leases": [], "none": []}
    for _ in range(1 if args.smoke else args.repetitions):
        for kind, runs in series.items():
            runs.append(run(args.bin, objects, walks, kind == "leases"))
    report = {}
    print(f"{'ns an object':24} {'leases':>10} {'none':>10}")
    for node, what in MEASURED:
        row = {kind: statistics.median(each[node, what] for each in runs) for kind, runs in series.items()}
        report[f"{what} on node {node}"] = row
        print(f"{what + f' on node {node}':24} {row['leases']:10.0f} {row['none']:10.0f}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
