#!/usr/bin/env python3
"""Golden tests: runs a command over each small file and compares what it prints with the file beside it.

    run.py --bin BUILD/bin FOLDER...            compare; exit 1 and show a diff where they differ
    run.py --bin BUILD/bin FOLDER... --update   write the expectations; review the diff before committing

A file's command is its first line `// RUN: irc check %s` (several are run one after the other, all with this folder as
working directory; %s is the file's name), or else the default of its folder. The expectation `NAME.expected` holds
what the command printed, standard output first, and its exit code where that is not 0.
"""

import argparse
import difflib
import pathlib
import re
import subprocess
import sys

DEFAULT_COMMAND = {
    "parse": ["irc dis --no-lines %s"],
    "diagnostics": ["irc check %s"],
    "verify": ["irc check %s"],
    "fmt": ["irc fmt %s"],
    "passes": ["irc emit ir --no-lines %s"],
}
TIMEOUT_SECONDS = 60


def commands(path):
    runs = re.findall(r"^// RUN: (.*)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return runs or DEFAULT_COMMAND.get(path.parent.name, [])


def run(path, bin_dir):
    """What the commands of `path` print, as the expectation file holds it."""
    output = ""
    for command in commands(path):
        words = command.replace("%s", path.name).split()
        words[0] = str(bin_dir / words[0])
        result = subprocess.run(
            words, cwd=path.parent, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_SECONDS
        )
        for stream in (result.stdout, result.stderr):
            output += stream.decode("utf-8", errors="backslashreplace")
        if result.returncode != 0:
            output += f"exit {result.returncode}\n"
    return output


def check(path, bin_dir, update):
    expected_path = path.with_suffix(".expected")
    try:
        actual = run(path, bin_dir)
    except subprocess.TimeoutExpired:
        print(f"TIMEOUT {path}")
        return False
    if update:
        expected_path.write_text(actual, encoding="utf-8")
        return True
    if not expected_path.exists():
        print(f"FAIL {path}: no {expected_path.name}; write it with --update")
        return False
    expected = expected_path.read_text(encoding="utf-8")
    if actual == expected:
        return True
    print(f"FAIL {path}")
    diff = difflib.unified_diff(
        expected.splitlines(True), actual.splitlines(True), expected_path.name, "what was printed"
    )
    sys.stdout.writelines(diff)
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--bin", required=True, type=pathlib.Path, help="folder of the built programs")
    parser.add_argument("--update", action="store_true", help="write the expectations")
    options = parser.parse_args()

    files = [f for folder in options.folders for f in sorted(folder.glob("*.ir")) if commands(f)]
    if not files:
        print("no golden files found")
        return 1
    stray = [e for folder in options.folders for e in sorted(folder.glob("*.expected"))
             if not e.with_suffix(".ir").exists()]
    for path in stray:
        print(f"FAIL {path}: the file it belongs to is gone")
    failed = [path for path in files if not check(path, options.bin.resolve(), options.update)]
    print(f"{len(files) - len(failed)} of {len(files)} golden files as expected")
    return 1 if failed or stray else 0


if __name__ == "__main__":
    sys.exit(main())
