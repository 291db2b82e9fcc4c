#!/usr/bin/env python3
"""What it costs a program to be looked at. Pairs of runs, with and without, one after the other in turn.

    observing.py --bin build/release/bin [--pairs N] [--smoke]

A program on one node computes for a fixed number of rounds; its CPU time (user and system, all processes) is compared
with that of the same program under `--prof` with every mode, and under `trace`. Medians of the ratios.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import tempfile

PROGRAM = """
class Cell {
  field value: i64
}
func @mix(%x: i64, %cell: ref(Cell)) -> i64 {
  %old = load_field %cell, Cell.value
  %a = mul.i64 %x, 6364136223846793005
  %b = add.i64 %a, %old
  store_field %cell, Cell.value, %b
  return %b
}
func @work(%rounds: i64) {
  br outer(0, 1)
outer(%i: i64, %x: i64):
  %more = lt.i64 %i, %rounds
  br_if %more, make, done
make:
  %cell = new Cell
  br inner(0, %x)
inner(%j: i64, %y: i64):
  %y2 = call @mix(%y, %cell)
  %j2 = add.i64 %j, 1
  %again = lt.i64 %j2, 2000
  br_if %again, inner(%j2, %y2), next
next:
  %pause = and.i64 %i, 255
  %rest = eq.i64 %pause, 0
  br_if %rest, yield, on
yield:
  thread_yield
  br on
on:
  %i2 = add.i64 %i, 1
  br outer(%i2, %y2)
done:
  return
}
func @main() {
  %a = new Thread
  thread_start %a, @work(ROUNDS)
  %b = new Thread
  thread_start %b, @work(ROUNDS)
  %x = thread_join %a, 0
  %y = thread_join %b, 0
  return
}
"""


def cpu_seconds(command, env, watch=None):
    """CPU time of a run and its nodes; `watch` is a command that looks at it meanwhile and does not count."""
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL)
    watcher = subprocess.Popen(watch, env=env, stderr=subprocess.DEVNULL) if watch else None
    _, status, usage = os.wait4(process.pid, 0)
    if watcher:
        watcher.wait()
    if status != 0:
        raise SystemExit(f"{command} failed")
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    pairs, rounds = (1, 20_000) if options.smoke else (options.pairs, 200_000)
    with tempfile.TemporaryDirectory(prefix="jvmc-bench-") as folder:
        env = {k: v for k, v in os.environ.items() if not k.startswith("JVMC_")} | {"XDG_RUNTIME_DIR": folder}
        program = pathlib.Path(folder) / "work.ir"
        program.write_text(PROGRAM.replace("ROUNDS", str(rounds)))
        run = [options.bin / "jvmcluster", "run", "--workers", "2"]
        ways = {
            "nothing": run + [program],
            "prof cpu": run + ["--prof", f"{folder}/p.json", "--prof-mode", "cpu", program],
            "prof all modes": run + ["--prof", f"{folder}/p.json", "--prof-mode", "cpu,alloc,wait,remote", program],
        }
        # Asks again until the program is there; ends with it.
        watch = {"trace": ["sh", "-c", f"until '{options.bin}/jvmcluster' trace --seconds 600 -o - >/dev/null; do sleep 0.1; "
                                       "test $((n=n+1)) -lt 20 || exit; done"]}
        ways["trace"] = ways["nothing"]
        ratios = {name: [] for name in ways}
        for pair in range(pairs):
            for name, command in ways.items():
                plain = cpu_seconds(ways["nothing"], env)
                ratios[name].append(cpu_seconds(command, env, watch.get(name)) / plain)
    for name, each in ratios.items():
        print(f"{name:16} {statistics.median(each):.3f}  ({min(each):.3f} to {max(each):.3f})")


if __name__ == "__main__":
    main()
