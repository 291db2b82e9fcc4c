#!/usr/bin/env python3
"""What using another node's objects costs, between two node processes of one machine.

    objects.py --bin build/release/bin [--repetitions N] [--smoke] [--json FILE]

A list (or a tree, depth first) of 32-byte objects is built by the first node and walked by a thread on each node:
    home        on the node that is home of it
    cold        on the other node, for the first time: every object must be fetched
    stale       again after an acquire: every copy must be asked for again
    valid       again without: the copies serve
Nanoseconds an object, medians over the runs. Beside it, what each fetch of an object alone would cost: the median round
trip of a fetch, from --stats of the same runs (upper end of a power of two).

Then phases: the first node changes some of 1,000 objects of 64 bytes, a thread on each node takes note (a volatile) and
reads all of them, again and again; or each time 1,000 others, which it never reads again. Microseconds to read them.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

PROGRAM = """
native @io.print(array(i8)) outside
native @bytes.from_i64(i64) -> array(i8) node
native @clock.monotonic_nanos() -> i64 node

class Node {{
  field next: ref(Node)
  field other: ref(Node)
}}

func @list(%n: i32) -> ref(Node) {{
  br loop(0, null)
loop(%i: i32, %head: ref(Node)):
  %more = lt.i32 %i, %n
  br_if %more, body, done
body:
  %x = new Node
  store_field %x, Node.next, %head
  %i2 = add.i32 %i, 1
  br loop(%i2, %x)
done:
  return %head
}}

func @tree(%depth: i32) -> ref(Node) {{
  %x = new Node
  %leaf = le.i32 %depth, 1
  br_if %leaf, done, inner
inner:
  %d = sub.i32 %depth, 1
  %l = call @tree(%d)
  store_field %x, Node.next, %l
  %r = call @tree(%d)
  store_field %x, Node.other, %r
  br done
done:
  return %x
}}

func @walk_list(%l: ref(Node)) -> i64 {{
  br loop(%l, 0)
loop(%n: ref(Node), %s: i64):
  %end = ref_eq %n, null
  br_if %end, done, body
body:
  %s2 = add.i64 %s, 1
  %next = load_field %n, Node.next
  br loop(%next, %s2)
done:
  return %s
}}

func @walk_tree(%n: ref(Node)) -> i64 {{
  %end = ref_eq %n, null
  br_if %end, none, some
none:
  return 0
some:
  %l = load_field %n, Node.next
  %a = call @walk_tree(%l)
  %r = load_field %n, Node.other
  %b = call @walk_tree(%r)
  %s = add.i64 %a, %b
  %t = add.i64 %s, 1
  return %t
}}

func @print(%v: i64) {{
  %t = call_native @bytes.from_i64(%v)
  call_native @io.print(%t)
  %n = new_bytes "\\n"
  call_native @io.print(%n)
  return
}}

func @timed(%l: ref(Node)) -> i64 {{
  %from = call_native @clock.monotonic_nanos()
  %count = call @walk_{shape}(%l)
  %to = call_native @clock.monotonic_nanos()
  %nanos = sub.i64 %to, %from
  %each = div.i64 %nanos, %count
  return %each
}}

func @worker(%l: ref(Node)) {{
  %cold = call @timed(%l)
  %valid = call @timed(%l)
  fence
  %stale = call @timed(%l)
  call @print(%cold)
  call @print(%stale)
  call @print(%valid)
  return
}}

func @main() -> i32 {{
  %l = call @{shape}({size})
  %t1 = new Thread
  thread_start %t1, @worker(%l)
  %j1 = thread_join %t1, 0
  %t2 = new Thread
  thread_start %t2, @worker(%l)
  %j2 = thread_join %t2, 0
  return 0
}}
"""

PHASES = """
native @io.print(array(i8)) outside
native @bytes.from_i64(i64) -> array(i8) node
native @clock.monotonic_nanos() -> i64 node

class Record {{
  field a: i64
  field b: i64
  field c: i64
  field d: i64
  field e: i64
  field f: i64
}}
class Phase {{
  field volatile turn: i64
  field records: array(ref(Record))
}}

func @read(%r: array(ref(Record)), %from: i32) -> i64 {{
  %end = add.i32 %from, {count}
  br loop(%from, 0)
loop(%i: i32, %s: i64):
  %more = lt.i32 %i, %end
  br_if %more, body, done
body:
  %x = load_elem %r, %i
  %v = load_field %x, Record.f
  %s2 = add.i64 %s, %v
  %i2 = add.i32 %i, 1
  br loop(%i2, %s2)
done:
  return %s
}}

func @change(%r: array(ref(Record)), %phase: i64) {{
  br loop(0)
loop(%i: i32):
  %more = lt.i32 %i, {changed}
  br_if %more, body, done
body:
  %at = mul.i32 %i, {every}
  %x = load_elem %r, %at
  store_field %x, Record.f, %phase
  %i2 = add.i32 %i, 1
  br loop(%i2)
done:
  return
}}

func @reader(%p: ref(Phase)) {{
  br await(0, 0, 0)
await(%n: i64, %nanos: i64, %at: i32):
  %turn = load_field %p, Phase.turn
  %mine = eq.i64 %turn, 1
  br_if %mine, read, spin
spin:
  thread_yield
  br await(%n, %nanos, %at)
read:
  %from = call_native @clock.monotonic_nanos()
  %r = load_field %p, Phase.records
  %s = call @read(%r, %at)
  %to = call_native @clock.monotonic_nanos()
  %took = sub.i64 %to, %from
  %sum = add.i64 %nanos, %took
  store_field %p, Phase.turn, 0
  %n2 = add.i64 %n, 1
  %next = add.i32 %at, {step}
  %over = eq.i64 %n2, {phases}
  br_if %over, done, await(%n2, %sum, %next)
done:
  %each = div.i64 %sum, {phases}
  %t = call_native @bytes.from_i64(%each)
  call_native @io.print(%t)
  %newline = new_bytes "\\n"
  call_native @io.print(%newline)
  return
}}

func @write(%p: ref(Phase)) {{
  br one(0)
one(%n: i64):
  %r = load_field %p, Phase.records
  call @change(%r, %n)
  store_field %p, Phase.turn, 1
  br await
await:
  %turn = load_field %p, Phase.turn
  %mine = eq.i64 %turn, 0
  br_if %mine, next, spin
spin:
  thread_yield
  br await
next:
  %n2 = add.i64 %n, 1
  %over = eq.i64 %n2, {phases}
  br_if %over, done, one(%n2)
done:
  return
}}

func @main() -> i32 {{
  %p = new Phase
  %r = new_array ref(Record), {size}
  store_field %p, Phase.records, %r
  br fill(0)
fill(%i: i32):
  %more = lt.i32 %i, {size}
  br_if %more, body, run
body:
  %x = new Record
  store_elem %r, %i, %x
  %i2 = add.i32 %i, 1
  br fill(%i2)
run:
  %t1 = new Thread
  thread_start %t1, @reader(%p)
  call @write(%p)
  %j1 = thread_join %t1, 0
  %t2 = new Thread
  thread_start %t2, @reader(%p)
  call @write(%p)
  %j2 = thread_join %t2, 0
  return 0
}}
"""


def phases(args, changed, again):
    """Microseconds to read 1,000 remote objects of which the home has changed some, and what one fetch takes."""
    count, rounds = (100, 10) if args.smoke else (1000, 100)
    with tempfile.TemporaryDirectory() as folder:
        source, stats = pathlib.Path(folder, "phases.ir"), pathlib.Path(folder, "stats.json")
        changes = count * changed // 100
        source.write_text(PHASES.format(count=count, changed=changes, every=count // changes if changes else 1, phases=rounds,
                                        step=0 if again else count, size=count if again else count * rounds))
        done = subprocess.run([args.bin / "jvmcluster", "run", "--nodes", "2", "--mode", "jit", "--balance", "off", "--stats",
                               stats, source], capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            sys.exit(f"the program failed: {done.stderr}")
        nodes = json.loads(stats.read_text())["nodes"]
        return max(int(word) for word in done.stdout.split()) / 1000, max(node["objects"]["fetches"] for node in nodes) / rounds


def walks(args, shape, size):
    """One run: ({home, cold, stale, valid} in nanoseconds an object, round trip of a fetch)."""
    with tempfile.TemporaryDirectory() as folder:
        source, stats = pathlib.Path(folder, "walk.ir"), pathlib.Path(folder, "stats.json")
        source.write_text(PROGRAM.format(shape=shape, size=size))
        done = subprocess.run([args.bin / "jvmcluster", "run", "--nodes", "2", "--mode", "jit", "--balance", "off", "--stats",
                               stats, source], capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            sys.exit(f"the program failed: {done.stderr}")
        numbers = [int(word) for word in done.stdout.split()]
        first, second = numbers[:3], numbers[3:]
        far, near = (first, second) if first[0] > second[0] else (second, first)
        nodes = json.loads(stats.read_text())["nodes"]
        fetch = max(node["objects"]["fetch"]["p50"] for node in nodes)
        return {"home": near[2], "cold": far[0], "stale": far[1], "valid": far[2]}, fetch


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    repetitions = 1 if args.smoke else args.repetitions
    report = {}
    for shape, size in (("list", 2_000 if args.smoke else 100_000), ("tree", 10 if args.smoke else 16)):
        runs = [walks(args, shape, size) for _ in range(repetitions)]
        report[shape] = {key: statistics.median(run[0][key] for run in runs) for key in runs[0][0]}
        report[shape]["fetch_below"] = statistics.median(run[1] for run in runs)
        print(f"{shape:5} " + "  ".join(f"{key} {value:.0f} ns" for key, value in report[shape].items()), flush=True)
    for name, changed, again in (("none changed", 0, True), ("tenth changed", 10, True), ("all changed", 100, True),
                                 ("others each time", 0, False)):
        runs = [phases(args, changed, again) for _ in range(repetitions)]
        report[name] = {"micros": statistics.median(run[0] for run in runs), "fetches": statistics.median(run[1] for run in runs)}
        print(f"phases, {name}: {report[name]['micros']:.0f} us, {report[name]['fetches']:.1f} waits a phase", flush=True)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
