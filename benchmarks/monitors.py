#!/usr/bin/env python3
"""What a monitor costs that threads on one node, on another or on both enter again and again.

    monitors.py --bin build/release/bin [--against OTHER/bin] [--repetitions N] [--smoke] [--json FILE]

Two nodes of one worker on one machine; the monitor and the counter that it guards are homed at the first (monitors.ir).
Nanoseconds an entry with its exit: time from the start of all threads to the end of the last, over all entries. Medians,
with the lowest and highest. With --against, runs of another build in turns with those.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
# Threads at the monitor's home and on the other node.
PLACES = {
    "one thread, at home": (1, 0),
    "one thread, elsewhere": (0, 1),
    "two threads, at home": (2, 0),
    "two threads, elsewhere": (0, 2),
    "one thread on each": (1, 1),
    "two threads on each": (2, 2),
}


def run(folder, here, there, entries):
    done = subprocess.run([folder / "jvmcluster", "run", "--nodes", "2", "--workers", "1", "--mode", "jit", "--balance", "off",
                           HERE / "monitors.ir", str(here), str(there), str(entries)],
                          capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"the program failed: {done.stderr}")
    return int(done.stdout) / ((here + there) * entries)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--against", type=pathlib.Path)
    parser.add_argument("--entries", type=int, default=200_000, help="of all threads together (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    entries, repetitions = (2_000, 1) if args.smoke else (args.entries, args.repetitions)
    builds = {"": args.bin} | ({", the other build": args.against} if args.against else {})
    report = {}
    for name, (here, there) in PLACES.items():
        times = {build: [] for build in builds}
        for _ in range(repetitions):
            for build, folder in builds.items():
                times[build].append(run(folder, here, there, entries // (here + there)))
        for build, each in times.items():
            report[name + build] = each
            print(f"{name + build:42} {statistics.median(each):9.0f} ns   ({min(each):.0f} to {max(each):.0f})", flush=True)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
