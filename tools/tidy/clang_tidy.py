#!/usr/bin/env python3
"""Runs clang-tidy-19 with the checks of .clang-tidy over product code.

    clang_tidy.py                files changed against the merge base with main, committed or not
    clang_tidy.py --base REF     the same against another branch
    clang_tidy.py --all          every file (many minutes)
    clang_tidy.py FILE...        these

A changed header stands for the sources that include it directly. Needs a configured build (--build, default
build/release) for its compile_commands.json, and generated sources (ninja has run once). Exit code 1 if a check fails.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("ir", "runtime", "jit", "cluster", "tools")
# The build is g++'s: its warning options mean nothing to clang, and clang needs a shim for the KJ headers.
EXTRA = ["--extra-arg=-Wno-unknown-warning-option", f"--extra-arg=-include{ROOT}/cmake/kj_clang.h"]


def git(*args):
    return subprocess.run(["git", "-C", str(ROOT), *args], check=True, capture_output=True, text=True).stdout


def changed_files(base):
    start = git("merge-base", base, "HEAD").strip()
    names = git("diff", "--name-only", "--diff-filter=d", start).split()
    return names + git("ls-files", "--others", "--exclude-standard").split()


def sources_of(names, known):
    """The sources among `known` that `names` (paths from the root) stand for."""
    headers = {name for name in names if name.endswith(".h")}
    wanted = known & set(names)
    if headers:
        include = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
        wanted |= {name for name in known if headers & set(include.findall((ROOT / name).read_text()))}
    return wanted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--base", default="main", help="branch to compare with (default: main)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--fix", action="store_true", help="apply what clang-tidy offers; one file at a time")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()

    database = args.build / "compile_commands.json"
    if not database.is_file():
        print(f"clang_tidy: no {database}: configure first (cmake --preset release)", file=sys.stderr)
        return 2
    entries = (pathlib.Path(entry["directory"], entry["file"]) for entry in json.loads(database.read_text()))
    known = {path.relative_to(ROOT).as_posix() for path in entries if path.is_relative_to(ROOT)}
    known = {name for name in known if name.startswith(tuple(folder + "/" for folder in FOLDERS))}

    if args.all:
        chosen = known
    elif args.files:
        chosen = sources_of([os.path.relpath(os.path.abspath(name), ROOT) for name in args.files], known)
    else:
        chosen = sources_of(changed_files(args.base), known)

    def check(name):
        start = time.monotonic()
        command = ["clang-tidy-19", "--quiet", "-p", str(args.build), *EXTRA, *(["--fix"] if args.fix else []), name]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        return name, done.returncode, done.stdout.strip(), done.stderr.strip(), time.monotonic() - start

    failed, seen = 0, set()
    with concurrent.futures.ThreadPoolExecutor(1 if args.fix else args.jobs) as pool:
        for name, code, out, err, seconds in pool.map(check, sorted(chosen)):
            if code != 0:
                failed += 1
                # The same finding of a header comes once for each source that includes it.
                for block in re.split(r"\n(?=/\S+:\d+:\d+: (?:error|warning))", out or err):
                    if block not in seen:
                        seen.add(block)
                        print(block.replace(f"{ROOT}/", ""))
            print(f"{'FAIL' if code else 'ok  '} {name} ({seconds:.0f} s)", flush=True)
    print(f"clang-tidy: {failed} of {len(chosen)} files have findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
