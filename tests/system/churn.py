#!/usr/bin/env python3
"""A long run of shared_garbage.ir on three nodes, with the memory of each over time. Usage: churn.py JVMCLUSTER [MINUTES]

Threads drop rings of objects that lie on all nodes, while threads and blocks move. The memory of each node must stay
where it is after the first minute, and every object that is met must be as it was made. Not in CI: memory_test.py has a
short one.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import memory_test

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "run" / "shared_garbage.ir"
HEAP_MIB = 24
EVERY = 15  # seconds


def main(jvmcluster, minutes):
    with tempfile.TemporaryDirectory(prefix="jvmc-churn-") as folder:
        stats = pathlib.Path(folder) / "stats.json"
        env = dict(os.environ, XDG_RUNTIME_DIR=folder, HOME=folder)
        process = subprocess.Popen(
            [jvmcluster, "run", "--nodes", "3", "--heap", f"{HEAP_MIB}M", "--rounds", "on", "--balance", "rotate", "--zeal",
             "blocks:50", "--stats", stats, PROGRAM, "9", str(10**9), "24", str(int(60 * minutes))],
            env=env, stdout=subprocess.PIPE, text=True)
        watch, begun, most = memory_test.HeapWatch(process.pid), time.monotonic(), []
        try:
            while process.poll() is None:
                time.sleep(EVERY)
                watch.kib = {}
                watch.look()
                print(f"{time.monotonic() - begun:6.0f} s  KiB of heap and copies:", *sorted(watch.kib.values()), flush=True)
                most.append(max(watch.kib.values(), default=0))
                if time.monotonic() - begun > 60 * minutes + 120:
                    raise SystemExit("the program does not end")
        finally:
            process.kill()
        wrong = process.stdout.read().strip()
        for number, node in enumerate(json.loads(stats.read_text())["nodes"]):
            collect = node["collect"]
            print(f"node {number}: {collect['rounds']} rounds ({collect['broken']} broken off), "
                  f"{collect['dead_bytes'] >> 20} MiB dead, {node['blocks']['moved']} blocks moved away")
        print("cells that were wrong:", wrong)
        return 0 if process.returncode == 0 and wrong == "0" and max(most) < 1.3 * (HEAP_MIB << 10) + 4096 else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), float(sys.argv[2]) if len(sys.argv) > 2 else 10))
