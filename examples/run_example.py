#!/usr/bin/env python3
"""Runs an example and compares its standard output with examples/expected/NAME.txt.

    run_example.py NAME -- COMMAND...
"""
import difflib
import pathlib
import subprocess
import sys


def main() -> int:
    name, separator, *command = sys.argv[1:]
    if separator != "--" or not command:
        print(__doc__, file=sys.stderr)
        return 2
    expected = (pathlib.Path(__file__).parent / "expected" / f"{name}.txt").read_text()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        print(f"exit code {done.returncode}: {' '.join(command)}", file=sys.stderr)
    if done.stdout != expected:
        sys.stderr.writelines(difflib.unified_diff(expected.splitlines(True), done.stdout.splitlines(True), "expected", "printed"))
    return 0 if done.returncode == 0 and done.stdout == expected else 1


if __name__ == "__main__":
    sys.exit(main())
