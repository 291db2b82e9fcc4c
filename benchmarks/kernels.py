#!/usr/bin/env python3
"""Example kernels against their C counterparts, interleaved in one run; prints medians of CPU time and ratios.

    kernels.py --bin build/release/bin [--repetitions N] [--smoke] [--json FILE]

CPU time is user + system of the whole process, start-up and compilation included; `hello` is what an empty program
costs. All variants print the same result, which is checked. C is compiled with -O3 -march=native -ffp-contract=off:
fused multiply-add would change results, and jvmcluster never fuses.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCENE = str(ROOT / "examples/data/spheres.scene")
EMPTY = 'func @main() -> i32 {\n  return 0\n}\n'

# name: arguments for a measurement and for a smoke run; the third argument of each program is its number of threads
KERNELS = {
    "nbody": (["20000", "1", "100"], ["20", "1", "16"]),
    "mandelbrot": (["3000", "500", "1"], ["40", "50", "1"]),
    "raytrace": ([SCENE, "OUT", "960", "720", "1", "4"], [SCENE, "OUT", "40", "30", "1", "1"]),
}


def compile_c(compiler, name, folder):
    binary = folder / f"{name}_{compiler}"
    subprocess.run([compiler, "-O3", "-march=native", "-ffp-contract=off", "-o", binary,
                    ROOT / f"benchmarks/peers/{name}.c", "-lm"], check=True)
    return [str(binary)]


def cpu_seconds(command):
    """(CPU seconds, standard output) of one run."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"exit code {process.returncode}: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime, out.decode()


def normalised(text):
    """Numbers as numbers: C prints 17 digits where the VM prints the shortest form."""
    words = []
    for word in text.split():
        try:
            words.append(repr(float(word)) if "." in word or "e" in word else word)
        except ValueError:
            words.append(word)
    return words


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one repetition: checks that it runs")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    irc = str(args.bin / "irc")
    compilers = [c for c in ("clang-19", "gcc") if subprocess.run(["which", c], capture_output=True).returncode == 0]
    with tempfile.TemporaryDirectory(prefix="jvmc-bench-") as folder_name:
        folder = pathlib.Path(folder_name)
        (folder / "hello.ir").write_text(EMPTY)
        rows = []
        for name, (full, small) in KERNELS.items():
            arguments = [str(folder / "out.ppm") if a == "OUT" else a for a in (small if args.smoke else full)]
            source = str(ROOT / f"examples/{name}.ir")
            variants = {f"{c} -O3": compile_c(c, name, folder) + arguments for c in compilers}
            variants["jit"] = [irc, "run", "--mode", "jit", source, *arguments]
            variants["auto"] = [irc, "run", "--mode", "auto", source, *arguments]
            if args.smoke:
                variants["interp"] = [irc, "run", "--mode", "interp", source, *arguments]
            times, outputs = {v: [] for v in variants}, {}
            for _ in range(1 if args.smoke else args.repetitions):
                for variant, command in variants.items():
                    seconds, out = cpu_seconds(command)
                    times[variant].append(seconds)
                    outputs[variant] = normalised(out)
            if any(out != outputs["jit"] for out in outputs.values()):
                sys.exit(f"{name}: results differ: {outputs}")
            rows.append({"kernel": name, "arguments": arguments,
                         "cpuSeconds": {v: statistics.median(t) for v, t in times.items()},
                         "spread": {v: max(t) / min(t) for v, t in times.items()}})
        hello = statistics.median(cpu_seconds([irc, "run", str(folder / "hello.ir")])[0] for _ in range(1 if args.smoke else 9))
    print(f"hello world: {hello * 1000:.1f} ms CPU")
    print(f"{'kernel':12}" + "".join(f"{v:>14}" for v in rows[0]["cpuSeconds"]) + "   jit / best C")
    for row in rows:
        cpu = row["cpuSeconds"]
        best = min((cpu[v] for v in cpu if "-O3" in v), default=float("nan"))
        print(f"{row['kernel']:12}" + "".join(f"{cpu[v]:14.3f}" for v in cpu) + f"{cpu['jit'] / best:15.2f}")
    if args.json:
        args.json.write_text(json.dumps({"helloCpuSeconds": hello, "kernels": rows}, indent=2))


if __name__ == "__main__":
    main()
