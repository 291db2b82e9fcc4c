#!/usr/bin/env python3
"""What it costs to spin on a volatile of another node until it changes.

    spinning.py --bin build/release/bin [--against OTHER/bin] [--repetitions N] [--smoke] [--json FILE]

Two nodes of one worker on one machine pass a turn to and fro (spinning.ir), at once or after so many microseconds.
Medians: microseconds a turn beyond the rest, requests that the other node has sent for it, and CPU seconds of all
processes. With --against, runs of another build in turns with those.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# Turns of each thread, and how long each is kept.
WAITS = {"at once": (2000, 0), "after 100 us": (1000, 100), "after 5 ms": (100, 5000)}


def run(folder, turns, micros):
    """(us a turn beyond the rest, requests a turn, CPU seconds)"""
    with tempfile.NamedTemporaryFile() as stats:
        process = subprocess.Popen([folder / "jvmcluster", "run", "--nodes", "2", "--workers", "1", "--mode", "jit", "--balance",
                                    "off", "--stats", stats.name, HERE / "spinning.ir", str(turns), str(micros)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"exit code {process.returncode}: spinning.ir {turns} {micros}")
        nodes = json.load(open(stats.name))["nodes"]
    requests = sum(node["objects"]["sync_remote"] for node in nodes)
    return int(out) / (2 * turns) / 1000 - micros, requests / (2 * turns), usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--against", type=pathlib.Path)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    builds = {"": args.bin} | ({", the other build": args.against} if args.against else {})
    report = {}
    for name, (turns, micros) in WAITS.items():
        series = {build: [] for build in builds}
        for _ in range(1 if args.smoke else args.repetitions):
            for build, folder in builds.items():
                series[build].append(run(folder, 10 if args.smoke else turns, micros))
        for build, each in series.items():
            late, requests, cpu = (statistics.median(column) for column in zip(*each))
            report[name + build] = {"microsATurn": late, "requestsATurn": requests, "cpuSeconds": cpu}
            print(f"{name + build:32} {late:9.1f} us  {requests:7.2f} requests  {cpu:6.2f} s CPU", flush=True)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
