#!/usr/bin/env python3
"""Allocation and collection against OpenJDK's Serial and G1 collectors: binary trees (binary_trees.ir,
peers/BinaryTrees.java), all with the same heap limit.

    collector.py --bin build/release/bin [--depth N] [--heap MIB] [--repetitions N] [--smoke]

All variants run in turn. CPU seconds are those of the whole process, compilation and helper threads included, as
medians; `ratio` is the median of our time by theirs within a repetition. Without `java` and `javac` on the path only our
variants run. Pauses, in milliseconds, as our collector reports them.
"""
import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from whole_programs import ROOT, interleave


def java_commands(folder, heap):
    """Commands by variant, none if there is no JDK."""
    if not (shutil.which("java") and shutil.which("javac")):
        print("no JDK here: only our own variants", file=sys.stderr)
        return {}
    subprocess.run(["javac", "-d", folder, ROOT / "benchmarks/peers/BinaryTrees.java"], check=True)
    java = ["java", f"-Xmx{heap}m", f"-Xms{heap}m", "-cp", str(folder)]
    return {"OpenJDK Serial": [*java, "-XX:+UseSerialGC", "BinaryTrees"],
            "OpenJDK G1": [*java, "-XX:+UseG1GC", "BinaryTrees"]}


def pauses(command, depth):
    """(number, p99 ms, longest ms) of one run."""
    done = subprocess.run([*command[:2], "--stats", "-", *command[2:], depth], capture_output=True, text=True, check=True)
    heap = json.loads(done.stdout.splitlines()[-1])["heap"]
    return heap["pauses"], heap["pauseNanosP99"] / 1e6, heap["pauseNanosMax"] / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--depth", type=int, default=18)
    parser.add_argument("--heap", type=int, default=512, help="MiB")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a small tree, one repetition: checks that it runs")
    args = parser.parse_args()
    depth = "8" if args.smoke else str(args.depth)
    ours = [str(args.bin / "irc"), "run", "--mode", "jit", "--workers", "1", "--heap", f"{args.heap}M",
            str(ROOT / "benchmarks/binary_trees.ir")]
    with tempfile.TemporaryDirectory(prefix="jvmc-bench-") as folder:
        commands = {"jvmcluster": ours, **java_commands(folder, args.heap)}
        times = interleave("binary_trees", commands, None, [depth], 1 if args.smoke else args.repetitions)
        print(f"binary trees of depth {depth}, heap of {args.heap} MiB\n{'':16}{'CPU s':>8}{'ratio':>8}   quartiles")
        for variant, seconds in times.whole.items():
            ratio, low, high = times.ratio("whole", "jvmcluster", variant)
            print(f"{variant:16}{statistics.median(seconds):8.2f}{ratio:8.2f}   {low:.2f} to {high:.2f}")
        print("pauses: {}, p99 {:.1f} ms, longest {:.1f} ms".format(*pauses(ours, depth)))


if __name__ == "__main__":
    main()
