#!/usr/bin/env python3
"""Runs random programs in every way the product can run them and compares what they print.

    compare.py --bin build/release/bin [--first SEED] [--count N] [--cluster] [--sample] [--jobs J] [--keep DIR]

The interpreter is the oracle. A difference, a crash or a time-out prints the seed and the command line and fails; the
program is kept. `generate.py SEED` writes the same program again.
"""
import argparse
import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import generate  # noqa: E402

LOCAL_WAYS = [
    ["--mode", "interp"],
    ["--mode", "jit"],
    ["--mode", "auto"],
    ["--mode", "interp", "--zeal", "capture:3"],
    ["--mode", "jit", "--zeal", "capture:5", "--pass-seed", "{seed}"],
    ["--mode", "auto", "--zeal", "capture:2,gc:7"],
    ["--mode", "jit", "--zeal", "gc:3"],
]
CLUSTER_WAYS = [
    ["--nodes", "2", "--mode", "interp", "--zeal", "migrate:5"],
    ["--nodes", "2", "--mode", "auto", "--zeal", "migrate:9,blocks:2"],
    ["--nodes", "3", "--mode", "jit", "--zeal", "migrate:30", "--pass-seed", "{seed}"],
]


def run(command, timeout):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        return "timeout", (late.stdout or b"").decode(errors="replace"), (late.stderr or b"").decode(errors="replace")


def check(seed, args, folder):
    source = folder / f"random_{seed}.ir"
    source.write_text(generate.program(seed))
    local, cluster = LOCAL_WAYS, CLUSTER_WAYS if args.cluster else []
    if args.sample:
        oracle, *others = LOCAL_WAYS
        local = [oracle, others[seed % len(others)]]
        cluster = cluster[seed % len(CLUSTER_WAYS) :][:1]
    ways = [("irc", way) for way in local] + [("jvmcluster", way) for way in cluster]
    ways = [[str(args.bin / tool), "run", *(word.format(seed=seed) for word in way), str(source)] for tool, way in ways]
    expected, problems = None, []
    for command in ways:
        code, out, err = run(command, args.timeout)
        if expected is None:
            expected = (code, out)
            if not isinstance(code, int) or code < 0 or code > 9:
                problems.append((command, code, out, err))
                break
        elif (code, out) != expected:
            problems.append((command, code, out, err))
    if not problems:
        source.unlink()
    return seed, expected, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--sample", action="store_true",
                        help="not each way for each program: the interpreter, and one local way and one on a cluster in turn")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--keep", type=pathlib.Path)
    args = parser.parse_args()
    folder = args.keep or pathlib.Path(tempfile.mkdtemp(prefix="jvmc-random-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seeds {args.first}..{args.first + args.count - 1}, programs in {folder}", flush=True)
    failed = []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        seeds = range(args.first, args.first + args.count)
        for n, (seed, expected, problems) in enumerate(pool.map(lambda s: check(s, args, folder), seeds), 1):
            for command, code, out, err in problems:
                print(f"seed {seed}: {' '.join(command)}\n  exit {code}, expected {expected[0]}")
                for k, (a, b) in enumerate(zip(expected[1].splitlines(), out.splitlines())):
                    if a != b:
                        print(f"  line {k + 1}: {b!r}, expected {a!r}")
                        break
                print("  " + err[-600:].replace("\n", "\n  "), flush=True)
            if problems:
                failed.append(seed)
            if n % 500 == 0:
                print(f"{n} programs, {len(failed)} differ", flush=True)
    used = generate.coverage(min(args.count, 100))
    print(f"{args.count} programs, {len(failed)} differ; {len(used)} different instructions used")
    if failed:
        print("failing seeds:", *failed)
    elif not args.keep:
        folder.rmdir()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
