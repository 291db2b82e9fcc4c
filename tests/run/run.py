#!/usr/bin/env python3
"""Runs one program in every way the product can run it and checks that it always prints the same.

    run.py --bin DIR [--ways NAME,...] PROGRAM.ir

The program begins with comment lines that say what to expect:
    // OUT: line        one line of standard output
    // ERR: text        standard error contains it
    // IN: line         one line of standard input
    // ARGS: words      arguments, quoted as for a shell
    // EXIT: code       default 0
    // HEAP: size       heap limit of each node
    // SKIP: way why    not run in this way, and the reason
"""
import argparse
import pathlib
import shlex
import subprocess
import sys

# What can be told about a way of running: alone or in a cluster, mode, zeal.
WAYS = {
    "interp": ["irc", "run", "--mode", "interp"],
    "jit": ["irc", "run", "--mode", "jit"],
    "auto": ["irc", "run", "--mode", "auto", "--workers", "2"],
    "interp-capture1": ["irc", "run", "--mode", "interp", "--zeal", "capture:1"],
    "jit-capture1": ["irc", "run", "--mode", "jit", "--zeal", "capture:1"],
    "auto-capture7": ["irc", "run", "--mode", "auto", "--workers", "2", "--zeal", "capture:7"],
    "interp-gc1": ["irc", "run", "--mode", "interp", "--zeal", "gc:1"],
    "jit-gc3": ["irc", "run", "--mode", "jit", "--workers", "2", "--zeal", "gc:3"],
    "auto-capture5-gc11": ["irc", "run", "--mode", "auto", "--zeal", "capture:5,gc:11"],
    "node1": ["jvmcluster", "run", "--nodes", "1"],
    "node1-jit-capture5": ["jvmcluster", "run", "--nodes", "1", "--mode", "jit", "--zeal", "capture:5"],
    "node1-gc7": ["jvmcluster", "run", "--nodes", "1", "--zeal", "gc:7"],
    "node1-io3": ["jvmcluster", "run", "--nodes", "1", "--zeal", "io:3"],
    "nodes3-interp": ["jvmcluster", "run", "--nodes", "3", "--mode", "interp"],
    "nodes3-jit": ["jvmcluster", "run", "--nodes", "3", "--mode", "jit"],
    "nodes3-auto": ["jvmcluster", "run", "--nodes", "3", "--mode", "auto"],
    "nodes3-capture9": ["jvmcluster", "run", "--nodes", "3", "--zeal", "capture:9"],
    "nodes3-jit-gc9": ["jvmcluster", "run", "--nodes", "3", "--mode", "jit", "--zeal", "gc:9"],
    "nodes3-io3": ["jvmcluster", "run", "--nodes", "3", "--zeal", "io:3"],
    "nodes3-interp-migrate7": ["jvmcluster", "run", "--nodes", "3", "--mode", "interp", "--zeal", "migrate:7"],
    "nodes3-jit-migrate11": ["jvmcluster", "run", "--nodes", "3", "--mode", "jit", "--zeal", "migrate:11"],
    "nodes3-jit-migrate5-passes": ["jvmcluster", "run", "--nodes", "3", "--mode", "jit", "--zeal", "migrate:5",
                                   "--pass-seed", "7"],
    "nodes3-auto-migrate-gc-io": ["jvmcluster", "run", "--nodes", "3", "--zeal", "migrate:50,gc:40,io:4"],
    "nodes3-interp-blocks2": ["jvmcluster", "run", "--nodes", "3", "--mode", "interp", "--zeal", "blocks:2"],
    "nodes3-jit-blocks3": ["jvmcluster", "run", "--nodes", "3", "--mode", "jit", "--zeal", "blocks:3"],
    "nodes3-auto-all": ["jvmcluster", "run", "--nodes", "3", "--zeal", "migrate:50,blocks:2,gc:40,io:4"],
    "nodes3-jit-rounds20": ["jvmcluster", "run", "--nodes", "3", "--mode", "jit", "--zeal", "rounds:20"],
    "nodes3-auto-leases1": ["jvmcluster", "run", "--nodes", "3", "--zeal", "leases:1"],
    "nodes3-jit-leases1-migrate-blocks": ["jvmcluster", "run", "--nodes", "3", "--mode", "jit", "--zeal",
                                          "leases:1,migrate:50,blocks:3"],
    "nodes3-rotate": ["jvmcluster", "run", "--nodes", "3", "--balance", "rotate"],
}


class Expectation:
    def __init__(self, path):
        self.out, self.err, self.inp, self.args, self.exit, self.skip, self.heap = [], [], [], [], 0, {}, None
        for line in path.read_text().splitlines():
            if not line.startswith("//"):
                break
            key, separator, value = line[2:].strip().partition(":")
            value = value[1:] if value.startswith(" ") else value
            if not separator or key not in ("OUT", "ERR", "IN", "ARGS", "EXIT", "HEAP", "SKIP"):
                continue
            if key == "OUT":
                self.out.append(value)
            elif key == "ERR":
                self.err.append(value)
            elif key == "IN":
                self.inp.append(value)
            elif key == "ARGS":
                self.args = shlex.split(value)
            elif key == "EXIT":
                self.exit = int(value)
            elif key == "HEAP":
                self.heap = value
            else:
                way, _, why = value.partition(" ")
                self.skip[way] = why

    def problem(self, code, out, err):
        """What differs, or None."""
        if out.splitlines() != self.out:
            return f"printed {out!r}, expected {self.out!r}"
        if code != self.exit:
            return f"exit code {code}, expected {self.exit}"
        for text in self.err:
            if text not in err:
                return f"standard error lacks {text!r}"
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--ways", help="comma-separated; default all: " + ", ".join(WAYS))
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("program", type=pathlib.Path)
    args = parser.parse_args()
    expected = Expectation(args.program)
    failed = 0
    for way in args.ways.split(",") if args.ways else WAYS:
        if way in expected.skip:
            print(f"skip {way}: {expected.skip[way]}")
            continue
        tool, *flags = WAYS[way]
        if expected.heap:
            flags += ["--heap", expected.heap]
        command = [str(args.bin / tool), *flags, str(args.program), *expected.args]
        try:
            done = subprocess.run(command, input="".join(line + "\n" for line in expected.inp), capture_output=True,
                                  text=True, timeout=args.timeout, errors="replace")
            problem = expected.problem(done.returncode, done.stdout, done.stderr)
            err = done.stderr
        except subprocess.TimeoutExpired as late:
            problem, err = f"still running after {args.timeout} s; printed {late.stdout!r}", (late.stderr or b"").decode(errors="replace")
        if problem:
            failed += 1
            print(f"FAIL {way}: {problem}\n  {shlex.join(command)}")
            if err:
                print("  stderr: " + err[-2000:].replace("\n", "\n  stderr: "))
        else:
            print(f"ok   {way}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
