#!/usr/bin/env python3
"""Fails if a C++ file differs from what clang-format-19 makes of it. `--fix` rewrites the files."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("ir", "runtime", "jit", "cluster", "tools", "tests", "benchmarks", "examples")


def main() -> int:
    fix = "--fix" in sys.argv[1:]
    files = [p for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.suffix in (".h", ".cpp")]

    def check(path: pathlib.Path) -> bool:
        args = ["clang-format-19", "-i"] if fix else ["clang-format-19", "--dry-run", "-Werror"]
        return subprocess.run([*args, str(path)], capture_output=True).returncode == 0

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        bad = [p for p, ok in zip(files, pool.map(check, files)) if not ok]
    for path in bad:
        print(f"{path.relative_to(ROOT)}: not formatted (tools/tidy/check_format.py --fix)", file=sys.stderr)
    print(f"format: {len(bad)} of {len(files)} files differ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
