#!/usr/bin/env python3
"""How fast homes of objects move while a thread on each node uses them, beside a socket that copies as many bytes.

    block_moves.py --bin build/release/bin [--repetitions N] [--size BYTES] [--smoke] [--json FILE]

A program on two nodes keeps 100 MB of arrays, of 8 KiB or of 48 bytes each, header and all; on each node a thread walks
all of them, over and over, reads one word of each, stores to one of every sixteenth, and acquires and releases after so
many as make a megabyte.
`jvmcluster migrate --blocks` hands the memory to the other node and back. Each move is followed by a copy of as many bytes
as have moved through a Unix socket between two processes, with the program going on beside it as well.
    MiB/s     of blocks moved (without the start of the command), and of the socket; medians
    times     how many times as long the move takes: median of the ratios of neighbours
    block     how long a chunk of blocks is on its way, from being sent off until its new home has it: nobody on the old
              node can use the blocks meanwhile. Upper ends of the powers of two in which median and 99th percentile lie
"""
import argparse
import json
import multiprocessing
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SLICE_BYTES = 10**6
SHAPES = {"8 KiB": 1022, "48 bytes": 4}  # elements of 8 bytes

PROGRAM = """
native @io.print(array(i8)) outside
native @clock.monotonic_nanos() -> i64 node

func @slice() -> array(array(i64)) {{
  %all = new_array array(i64), {each}
  br loop(0)
loop(%i: i32):
  %more = lt.i32 %i, {each}
  br_if %more, body, done
body:
  %one = new_array i64, {elements}
  store_elem %all, %i, %one
  %i2 = add.i32 %i, 1
  br loop(%i2)
done:
  return %all
}}

func @walk(%slice: array(array(i64)), %mine: i32) -> i64 {{
  br loop(0, 0)
loop(%i: i32, %sum: i64):
  %more = lt.i32 %i, {each}
  br_if %more, body, done
body:
  %one = load_elem %slice, %i
  %word = load_elem %one, 0
  %sum2 = add.i64 %sum, %word
  %i2 = add.i32 %i, 1
  %low = and.i32 %i, 15
  %writes = eq.i32 %low, 0
  br_if %writes, write, loop(%i2, %sum2)
write:
  store_elem %one, %mine, %sum2
  br loop(%i2, %sum2)
done:
  return %sum
}}

func @walker(%all: array(array(array(i64))), %mine: i32, %end: i64) {{
  br again(0)
again(%k: i32):
  %slice = load_elem %all, %k
  %sum = call @walk(%slice, %mine)
  fence
  %k2 = add.i32 %k, 1
  %k3 = rem.i32 %k2, {slices}
  %now = call_native @clock.monotonic_nanos()
  %more = lt.i64 %now, %end
  br_if %more, again(%k3), done
done:
  return
}}

func @main() -> i32 {{
  %all = new_array array(array(i64)), {slices}
  br fill(0)
fill(%i: i32):
  %some = lt.i32 %i, {slices}
  br_if %some, one, filled
one:
  %s = call @slice()
  store_elem %all, %i, %s
  %i2 = add.i32 %i, 1
  br fill(%i2)
filled:
  %text = new_bytes "ready\\n"
  call_native @io.print(%text)
  %now = call_native @clock.monotonic_nanos()
  %end = add.i64 %now, {nanos}
  %t1 = new Thread
  thread_start %t1, @walker(%all, 1, %end)
  %t2 = new Thread
  thread_start %t2, @walker(%all, 2, %end)
  %j1 = thread_join %t1, 0
  %j2 = thread_join %t2, 0
  return 0
}}
"""


def read_all(sock, size):
    while size > 0:
        got = len(sock.recv(min(size, 1 << 20)))
        if got == 0:
            return
        size -= got
    sock.sendall(b"x")


def socket_copy(size):
    """Seconds to send `size` bytes through a Unix socket to a process that reads them."""
    left, right = socket.socketpair()
    payload = bytes(1 << 20)
    reader = multiprocessing.Process(target=read_all, args=(right, size))
    reader.start()
    begin = time.monotonic()
    for at in range(0, size, len(payload)):
        left.sendall(payload[:size - at])
    left.recv(1)
    seconds = time.monotonic() - begin
    reader.join()
    left.close()
    right.close()
    return seconds


def measure(args, elements, repetitions):
    """The row of one shape."""
    each = SLICE_BYTES // (elements * 8 + 16)
    seconds = 3 if args.smoke else 4 + 4 * repetitions
    rows = []
    with tempfile.TemporaryDirectory(prefix="jvmc-bench-") as folder:
        source, stats = pathlib.Path(folder, "walks.ir"), pathlib.Path(folder, "stats.json")
        source.write_text(PROGRAM.format(elements=elements, each=each, slices=args.size // SLICE_BYTES,
                                         nanos=seconds * 10**9))
        run = subprocess.Popen([args.bin / "jvmcluster", "run", "--nodes", "2", "--mode", "jit", "--balance", "off", "--heap",
                                "1G", "--stats", stats, source], stdout=subprocess.PIPE, text=True)
        try:
            run.stdout.readline()
            for n in range(2 * repetitions):
                done = subprocess.run([args.bin / "jvmcluster", "migrate", "--program", "walks.ir", "--blocks", str(args.size),
                                       str(n % 2), str(1 - n % 2), "--json"], capture_output=True, text=True)
                if done.returncode != 0 and rows:
                    break  # the program's time was up
                if done.returncode != 0:
                    sys.exit(f"the move failed: {done.stderr}")
                moved = json.loads(done.stdout)
                if moved["bytes"] == 0:
                    sys.exit("nothing has moved")
                rows.append((moved["bytes"], moved["seconds"], socket_copy(moved["bytes"]), moved["revoked"]))
            run.wait(120)
        finally:
            run.kill()
        if not rows or run.returncode != 0:
            sys.exit(f"the program failed with exit code {run.returncode}")
        chunks = [node["blocks"]["chunk"] for node in json.loads(stats.read_text())["nodes"]]
    return {"bytes": statistics.median(row[0] for row in rows),
            "rate": statistics.median(row[0] / row[1] for row in rows) / (1 << 20),
            "socketRate": statistics.median(row[0] / row[2] for row in rows) / (1 << 20),
            "times": statistics.median(row[1] / row[2] for row in rows),
            "blockMicros": [max(chunk[name] for chunk in chunks) / 1000 for name in ("p50", "p99")],
            "revoked": sum(row[3] for row in rows)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--size", type=int, default=100 * 10**6)
    parser.add_argument("--smoke", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    if args.smoke:
        args.size = 5 * 10**6
    report = {}
    for name, elements in SHAPES.items():
        row = report[name] = measure(args, elements, 1 if args.smoke else args.repetitions)
        print(f"{name:9} {row['bytes'] / 1e6:.0f} MB: {row['rate']:5.0f} MiB/s, socket {row['socketRate']:5.0f} MiB/s, "
              f"{row['times']:.1f} times; a block {row['blockMicros'][0]:.0f} us, p99 {row['blockMicros'][1]:.0f} us; "
              f"{row['revoked']} stayed", flush=True)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
