#!/usr/bin/env python3
"""What a second node is worth: a program with two threads on two nodes of one worker each, against the ceiling, which is
two unconnected runs of the same program with one thread, on one node of one worker each, side by side.

    two_nodes.py --bin build/release/bin [--repetitions N] [--only PROGRAM] [--smoke] [--json FILE]

Both do the same work for each core, so equal times would be 100 %: *share* is the ceiling's time divided by twice the
cluster's (which does the work once, the ceiling twice). Times are wall clock of a long run less that of a short one, so
that start-up and compilation do not count; medians of the ratios within a repetition, with quartiles. *cpu* is the CPU
time of the two nodes for the work, as a multiple of what one unconnected run takes for it. *cached* is the share of
checked accesses of other nodes' objects in the slow path that needed no fetch.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from whole_programs import ROOT, SCENE, arguments

# Arguments by number of threads, for a short run, a long run and a smoke run.
PROGRAMS = {
    "raytrace": lambda t: ([SCENE, "OUT", "240", "180", t, "4"], [SCENE, "OUT", "960", "720", t, "4"],
                           [SCENE, "OUT", "40", "30", t, "1"]),
    "stencil": lambda t: (["100", t, "1000"], ["3000", t, "1000"], ["20", t, "16"]),
    "nbody": lambda t: (["10", t, "2000"], ["250", t, "2000"], ["10", t, "16"]),
    "wordcount": lambda t: ([t] + ["WORDS:500000"] * 2, [t] + ["WORDS:500000"] * 40, [t] + ["WORDS:500"] * 2),
}


class Run:
    """One run of the launcher: wall seconds and CPU seconds of all its processes."""

    def __init__(self, command):
        self.command = command
        self.start = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def finish(self):
        self.out = self.process.stdout.read()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.wall = time.monotonic() - self.start
        self.cpu = usage.ru_utime + usage.ru_stime
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode != 0:
            sys.exit(f"exit code {self.process.returncode}: {' '.join(self.command)}")
        return self


def side_by_side(commands):
    """(wall seconds until all have ended, CPU seconds of all, outputs)"""
    runs = [Run(command) for command in commands]
    for run in runs:
        run.finish()
    return max(run.wall for run in runs), sum(run.cpu for run in runs), [run.out for run in runs]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--only", choices=PROGRAMS)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one repetition: checks that it runs")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    launcher = str(args.bin / "jvmcluster")
    rows = {}
    print(f"{'program':12}{'ceiling s':>11}{'cluster s':>11}{'share':>8}   {'quartiles':18}{'cpu':>6}{'cached':>9}")
    with tempfile.TemporaryDirectory(prefix="jvmc-bench-") as folder_name:
        folder = pathlib.Path(folder_name)
        stats = folder / "stats.json"

        def once(name, size):
            """((wall, cpu) of the ceiling, (wall, cpu) of the cluster) for a size"""
            source = str(ROOT / f"examples/{name}.ir")
            alone, shared = (arguments(folder, PROGRAMS[name](threads)[size]) for threads in ("1", "2"))
            twins = []
            for k in range(2):
                own = [a.replace("out.ppm", f"out{k}.ppm") for a in alone]
                twins.append([launcher, "run", "--nodes", "1", "--workers", "1", "--mode", "jit", source, *own])
            wall, cpu, outs = side_by_side(twins)
            command = [launcher, "run", "--nodes", "2", "--workers", "1", "--mode", "jit", "--balance", "off", "--stats",
                       str(stats), source, *shared]
            wall2, cpu2, out = side_by_side([command])
            if any(o != out[0] for o in outs):
                sys.exit(f"{name}: results differ")
            return (wall, cpu), (wall2, cpu2)

        for name in PROGRAMS:
            if args.only not in (None, name):
                continue
            shares, cpus, ceiling, cluster = [], [], [], []
            for _ in range(1 if args.smoke else args.repetitions):
                if args.smoke:
                    short = ((0, 0), (0, 0))
                    long = once(name, 2)
                else:
                    short, long = once(name, 0), once(name, 1)
                (wall, cpu), (wall2, cpu2) = ((l[0] - s[0], l[1] - s[1]) for s, l in zip(short, long))
                ceiling.append(wall)
                cluster.append(wall2)
                shares.append(wall / (2 * wall2))
                cpus.append(cpu2 / (cpu / 2) if cpu > 0 else 0)
            nodes = json.loads(stats.read_text())["nodes"]
            reads = sum(n["objects"]["slow_reads"] + n["objects"]["slow_writes"] for n in nodes)
            fetches = sum(n["objects"]["fetches"] for n in nodes)
            cached = 1 - fetches / reads if reads else 1.0
            low, _, high = statistics.quantiles(shares, n=4) if len(shares) > 1 else (shares[0],) * 3
            row = {"ceilingSeconds": statistics.median(ceiling), "clusterSeconds": statistics.median(cluster),
                   "share": statistics.median(shares), "quartiles": [low, high], "cpu": statistics.median(cpus),
                   "cached": cached}
            rows[name] = row
            print(f"{name:12}{row['ceilingSeconds']:11.3f}{row['clusterSeconds']:11.3f}{row['share']:8.1%}"
                  f"   {low:6.1%} to {high:6.1%}{row['cpu']:9.2f}{cached:9.1%}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
