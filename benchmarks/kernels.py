#!/usr/bin/env python3
"""Example programs against their counterparts in C and Java, interleaved in one run; medians of CPU time and ratios.

    kernels.py --bin build/release/bin [--repetitions N] [--smoke] [--json FILE]

CPU time is user + system of all threads of a process: *whole* with start-up and compilation, *steady* without (see
whole_programs.py). `hello` is what an empty program costs. All variants print the same result, which is checked. C is
compiled with -O3 -march=native -ffp-contract=off: fused multiply-add would change results, and jvmcluster never fuses.
Java is what `java` is, with its default flags (tools/benchmark-packages.txt); without `javac` it is left out.
"""
import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from whole_programs import PROGRAMS, ROOT, arguments, cpu_seconds, interleave

EMPTY = 'func @main() -> i32 {\n  return 0\n}\n'
PEERS = ("nbody", "mandelbrot", "raytrace")


def compile_c(compiler, name, folder):
    binary = folder / f"{name}_{compiler}"
    subprocess.run([compiler, "-O3", "-march=native", "-ffp-contract=off", "-o", binary,
                    ROOT / f"benchmarks/peers/{name}.c", "-lm"], check=True)
    return [str(binary)]


def compile_java(name, folder):
    subprocess.run(["javac", "-d", folder, ROOT / f"benchmarks/peers/{name.capitalize()}.java"], check=True)
    return ["java", "-cp", str(folder), name.capitalize()]


def show(part, rows):
    """A table of one part; ratios are to the best C and to Java. Mode auto has no steady state that two runs could tell:
    how much of them is interpreted depends on when the compiler's thread gets a core."""
    variants = [v for v in rows[0][part] if part == "whole" or v != "auto"]
    print(f"\n{part} (CPU seconds)\n{'program':12}" + "".join(f"{v:>12}" for v in variants) + "   jit / best C   jit / java")
    for row in rows:
        cpu = row[part]
        best = min((cpu[v] for v in cpu if "-O3" in v), default=float("nan"))
        print(f"{row['program']:12}" + "".join(f"{cpu[v]:12.3f}" for v in variants) +
              f"{cpu['jit'] / best:15.2f}{cpu['jit'] / cpu.get('java', float('nan')):13.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one repetition: checks that it runs")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    irc = str(args.bin / "irc")
    compilers = [c for c in ("clang-19", "gcc") if shutil.which(c)]
    has_java = shutil.which("javac") is not None
    if not has_java:
        print("no javac: Java is left out (Debian: default-jdk)", file=sys.stderr)
    repetitions = 1 if args.smoke else args.repetitions
    rows = []
    with tempfile.TemporaryDirectory(prefix="jvmc-bench-") as folder_name:
        folder = pathlib.Path(folder_name)
        (folder / "hello.ir").write_text(EMPTY)
        for name in PEERS:
            short, long, small = PROGRAMS[name]
            source = str(ROOT / f"examples/{name}.ir")
            commands = {f"{c} -O3": compile_c(c, name, folder) for c in compilers}
            if has_java:
                commands["java"] = compile_java(name, folder)
            for mode in ("jit", "auto", "interp") if args.smoke else ("jit", "auto"):
                commands[mode] = [irc, "run", "--mode", mode, source]
            sizes = (None, small) if args.smoke else (short, long)
            times = interleave(name, commands, *(size and arguments(folder, size) for size in sizes), repetitions)
            rows.append({"program": name, "arguments": list(map(str, long)),
                         "whole": {v: statistics.median(t) for v, t in times.whole.items()},
                         "steady": {v: statistics.median(t) for v, t in times.steady.items()},
                         "spread": {v: max(t) / min(t) for v, t in times.whole.items()}})
        hello = statistics.median(
            cpu_seconds([irc, "run", str(folder / "hello.ir")])[0] for _ in range(1 if args.smoke else 9))
    print(f"hello world: {hello * 1000:.1f} ms CPU")
    for part in ("whole",) if args.smoke else ("whole", "steady"):
        show(part, rows)
    if args.json:
        args.json.write_text(json.dumps({"helloCpuSeconds": hello, "programs": rows}, indent=2))


if __name__ == "__main__":
    main()
