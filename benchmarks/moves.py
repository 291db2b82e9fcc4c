#!/usr/bin/env python3
"""How long a move of a running thread takes between two node processes of one machine, and from what it is made up.

    moves.py --bin build/release/bin [--repetitions N] [--smoke] [--json FILE]

Each run starts two nodes with `jvmcluster run --nodes 2` and reads the parts of a move from --stats:
    settle   from the scheduler's hand-over of the captured thread to its image being sent: waiting for requests under
             way, flushed writes, exported references, encoding (the capture itself: benchmarks/capture_bench.cpp)
    wire     from the send to the first line of the receiver's handler; both processes read the same monotonic clock
    resume   from there until the thread is in the target's run queue
    ack      from the send to the answer: a round trip with the thread's start in the middle; not part of the move
    fetch    a copy of the thread's array, 56 bytes, asked for at its home until it is there; after moves away from home
The bound is the upper end of the power of two in which the median lies; the mean is exact but has the stragglers in it.
Medians of both over the runs are printed.

The *pause* is measured by the guest itself, with compiled code on both sides: a thread 3 or 10 frames deep reads the
monotonic clock before and after each poll, every poll moves it, and the differences are counted in classes of time. It
holds all parts: capture, settle, wire, resume, run queue, and entering the continuation. Beside it, in the same run:
what capture and resumption take without the move, the same program with --zeal capture:1 on a node alone.

Also, in the same process and between the same runs: a ping of a message of the same size through a Unix socket and
through TCP on loopback, half a round trip, between two processes.
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

PARTS = ("settle", "wire", "resume", "ack", "fetch")

# Two threads in three nested loops, three frames deep; the sum of their results is printed and checked.
PROGRAM = """
native @io.print(array(i8)) outside
native @bytes.from_i64(i64) -> array(i8) node

func @kernel(%n: i32, %d: f64, %a: array(i64)) -> i64 {
  br outer(0, 0, %d)
outer(%i: i32, %sum: i64, %x: f64):
  %moreI = lt.i32 %i, %n
  br_if %moreI, middle(0, %sum, %x), done
middle(%j: i32, %sumJ: i64, %y: f64):
  %moreJ = lt.i32 %j, 100
  br_if %moreJ, inner(0, %sumJ, %y), nextI
inner(%k: i32, %sumK: i64, %z: f64):
  %moreK = lt.i32 %k, 100
  br_if %moreK, step, nextJ
step:
  %at = and.i32 %k, 3
  %e = load_elem %a, %at
  %s1 = add.i64 %sumK, %e
  %z2 = add.f64 %z, 0.5
  %k2 = add.i32 %k, 1
  br inner(%k2, %s1, %z2)
nextJ:
  %j2 = add.i32 %j, 1
  br middle(%j2, %sumK, %z)
nextI:
  %i2 = add.i32 %i, 1
  br outer(%i2, %sumJ, %y)
done:
  %di = f64_to_i64 %x
  %r = add.i64 %sum, %di
  return %r
}

func @between(%n: i32, %a: array(i64)) -> i64 {
  %r = call @kernel(%n, 0.0, %a)
  %r2 = add.i64 %r, 1
  return %r2
}

func @worker(%out: array(i64), %slot: i32) {
  %a = new_array i64, 4
  store_elem %a, 0, 1
  store_elem %a, 1, 2
  store_elem %a, 2, 3
  store_elem %a, 3, 4
  %r = call @between($N, %a)
  store_elem %out, %slot, %r
  return
}

func @main() -> i32 {
  %out = new_array i64, 2
  %first = new Thread
  thread_start %first, @worker(%out, 0)
  %second = new Thread
  thread_start %second, @worker(%out, 1)
  %j0 = thread_join %first, 0
  %j1 = thread_join %second, 0
  %r0 = load_elem %out, 0
  %r1 = load_elem %out, 1
  %r = add.i64 %r0, %r1
  %text = call_native @bytes.from_i64(%r)
  call_native @io.print(%text)
  return 0
}
"""


# Upper ends of the classes of pauses, in microseconds.
CLASSES = (0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 40, 50, 60, 80, 100, 130, 160, 200, 300, 500, 1000, 10_000)


def pause_program(frames, rounds):
    """One thread, `frames` deep at each poll. Prints how many pauses were below each bound. (A loop with a step that is
    not constant polls in every round.)"""
    names = [f"c{i}" for i in range(len(CLASSES))]
    params = "".join(f", %{c}: i64" for c in names)
    count = "".join(f"  %is_{c} = lt.i64 %d, {int(bound * 1000)}\n  %one_{c} = i32_to_i64 %is_{c}\n"
                    f"  %{c}_2 = add.i64 %{c}, %one_{c}\n" for c, bound in zip(names, CLASSES))
    store = "".join(f"  store_elem %out, {i}, %{c}\n" for i, c in enumerate(names))
    return f"""
native @io.print(array(i8)) outside
native @bytes.from_i64(i64) -> array(i8) node
native @clock.monotonic_nanos() -> i64 node

func @measure(%out: array(i64), %step: i32) -> i32 {{
  %start = call_native @clock.monotonic_nanos()
  br loop(0, %start{", 0" * len(names)})
loop(%i: i32, %last: i64{params}):
  %now = call_native @clock.monotonic_nanos()
  %d = sub.i64 %now, %last
{count}  %i2 = add.i32 %i, %step
  %more = lt.i32 %i2, {rounds}
  %again = call_native @clock.monotonic_nanos()
  br_if %more, loop(%i2, %again{"".join(f", %{c}_2" for c in names)}), done
done:
{store}  return %i2
}}

func @down(%depth: i32, %out: array(i64)) -> i32 {{
  %deep = gt.i32 %depth, 0
  br_if %deep, deeper, bottom
deeper:
  %less = sub.i32 %depth, 1
  %r = call @down(%less, %out)
  %r2 = add.i32 %r, 1
  return %r2
bottom:
  %s = call @measure(%out, 1)
  return %s
}}

func @worker(%out: array(i64)) {{
  %r = call @down({frames - 3}, %out)
  return
}}

func @main() -> i32 {{
  %out = new_array i64, {len(names)}
  %t = new Thread
  thread_start %t, @worker(%out)
  %joined = thread_join %t, 0
  br print(0)
print(%i: i32):
  %more = lt.i32 %i, {len(names)}
  br_if %more, one, done
one:
  %v = load_elem %out, %i
  %text = call_native @bytes.from_i64(%v)
  call_native @io.print(%text)
  %space = new_array i8, 1
  store_elem %space, 0, 32
  call_native @io.print(%space)
  %i2 = add.i32 %i, 1
  br print(%i2)
done:
  return 0
}}
"""


def median_pause(below, total):
    """Nanoseconds, interpolated within the class in which the median lies."""
    low_bound, low_count = 0.0, 0
    for bound, count in zip(CLASSES, below):
        if count * 2 >= total:
            return (low_bound + (bound - low_bound) * (total / 2 - low_count) / (count - low_count)) * 1000
        low_bound, low_count = bound, count
    return float("inf")


def run_program(command, folder, text):
    """(standard output, statistics) of a program given as text."""
    program, stats = folder / "program.ir", folder / "stats.json"
    program.write_text(text)
    done = subprocess.run([*command, "--stats", str(stats), str(program)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}: {' '.join(command)}\n{done.stderr}")
    return done.stdout, json.loads(stats.read_text())


def measure_pauses(binaries, folder, frames, rounds, repetitions, ping_rounds):
    ways = {"moved": [str(binaries / "jvmcluster"), "run", "--nodes", "2", "--mode", "jit", "--zeal", "migrate:1"],
            "captured": [str(binaries / "irc"), "run", "--mode", "jit", "--zeal", "capture:1"]}
    medians, within, pings, size = {way: [] for way in ways}, [], {"unix": [], "tcp": []}, 0
    for _ in range(repetitions):
        for way, command in ways.items():
            out, stats = run_program(command, folder, pause_program(frames, rounds))
            below = [int(word) for word in out.split()]
            medians[way].append(median_pause(below, rounds))
            if way == "moved":
                moves = stats["total"]["moves"]
                if moves["out"] < rounds - 1:
                    sys.exit(f"{moves['out']} moves in {rounds} rounds")
                size = round(moves["bytes_out"] / moves["out"])
                within.append(below[CLASSES.index(200)] / rounds)
        pings["unix"].append(ping_nanos(socket.socketpair(), size, ping_rounds))
        pings["tcp"].append(ping_nanos(tcp_pair(), size, ping_rounds))
    return {"frames": frames, "rounds": rounds, "imageBytes": size,
            "medianNanos": {way: statistics.median(times) for way, times in medians.items()},
            "range": [min(medians["moved"]), max(medians["moved"])], "below200us": statistics.median(within),
            "pingNanos": {name: statistics.median(times) for name, times in pings.items()}}


def show_pauses(result):
    median, ping = result["medianNanos"], result["pingNanos"]
    print(f"pause of a thread {result['frames']} frames deep, {result['imageBytes']} bytes: median "
          f"{median['moved'] / 1000:.1f} us ({result['range'][0] / 1000:.1f} to {result['range'][1] / 1000:.1f} over the "
          f"runs), {result['below200us']:.1%} below 200 us")
    print(f"  captured and resumed in place {median['captured'] / 1000:.2f} us; raw hop {ping['unix'] / 1000:.1f} us (Unix "
          f"socket), {ping['tcp'] / 1000:.1f} us (TCP)", flush=True)


def expected_sum(n):
    return 2 * (n * 100 * 100 * 10 // 4 + n * 100 * 100 // 2 + 1)


def run_cluster(binaries, folder, flags, n):
    """Statistics of one run, all nodes added up."""
    program, stats = folder / "moves.ir", folder / "stats.json"
    program.write_text(PROGRAM.replace("$N", str(n)))
    command = [str(binaries / "jvmcluster"), "run", "--nodes", "2", *flags, "--stats", str(stats), str(program)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if done.returncode != 0 or done.stdout != str(expected_sum(n)):
        sys.exit(f"exit code {done.returncode}, printed {done.stdout!r}, expected {expected_sum(n)}\n"
                 f"{' '.join(command)}\n{done.stderr}")
    return json.loads(stats.read_text())["total"]


def receive(connection, size):
    while size > 0:
        size -= len(connection.recv(size))


def echo(connection, size, rounds):
    payload = bytes(size)
    for _ in range(rounds):
        receive(connection, size)
        connection.sendall(payload)


def tcp_pair():
    listener = socket.create_server(("127.0.0.1", 0))
    a = socket.create_connection(listener.getsockname())
    b, _ = listener.accept()
    listener.close()
    for side in (a, b):
        side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return a, b


def ping_nanos(pair, size, rounds):
    """Median of half a round trip of `size` bytes each way between two processes."""
    a, b = pair
    peer = multiprocessing.Process(target=echo, args=(b, size, rounds), daemon=True)
    peer.start()
    b.close()
    payload, times = bytes(size), []
    for _ in range(rounds):
        start = time.monotonic_ns()
        a.sendall(payload)
        receive(a, size)
        times.append((time.monotonic_ns() - start) / 2)
    peer.join()
    a.close()
    return statistics.median(times)


def compiled_share(total):
    captures = total["captures"]
    guest = captures["cpuNanosCompiled"] + captures["cpuNanosInterpreter"]
    return captures["cpuNanosCompiled"] / guest


def measure(binaries, folder, flags, n, repetitions, rounds):
    runs, pings = [], {"unix": [], "tcp": []}
    for _ in range(repetitions):
        total = run_cluster(binaries, folder, flags, n)
        if total["moves"]["out"] == 0:
            sys.exit(f"no thread moved: {flags}")
        runs.append(total)
        size = round(total["moves"]["bytes_out"] / total["moves"]["out"])
        pings["unix"].append(ping_nanos(socket.socketpair(), size, rounds))
        pings["tcp"].append(ping_nanos(tcp_pair(), size, rounds))
    moves = [run["moves"] for run in runs]
    result = {
        "flags": flags,
        "moves": sum(m["out"] for m in moves),
        "refused": sum(m["refused"] for m in moves),
        "imageBytes": round(sum(m["bytes_out"] for m in moves) / sum(m["out"] for m in moves)),
        "compiledShare": statistics.median(compiled_share(run) for run in runs),
        "compiledFrames": sum(run["captures"]["framesCompiled"] for run in runs),
        "interpretedFrames": sum(run["captures"]["framesInterpreted"] for run in runs),
        "pingNanos": {name: statistics.median(times) for name, times in pings.items()},
    }
    for part in PARTS:
        parts = [run["objects" if part == "fetch" else "moves"][part] for run in runs]
        result[part] = {"count": sum(p["count"] for p in parts),
                        "p50Below": statistics.median(p["p50"] for p in parts),
                        "mean": statistics.median(p["nanos"] / max(p["count"], 1) for p in parts)}
    return result


def show(name, result):
    print(f"{name}: {result['moves']} moves, {result['refused']} refused, {result['imageBytes']} bytes each; "
          f"frames captured: {result['compiledFrames']} compiled, {result['interpretedFrames']} interpreted; "
          f"{result['compiledShare']:.1%} of guest CPU in compiled code")
    for part in PARTS:
        row = result[part]
        print(f"  {part:8}{row['count']:8} x  median < {row['p50Below'] / 1000:7.1f} us   mean {row['mean'] / 1000:7.1f} us")
    for transport, nanos in result["pingNanos"].items():
        print(f"  ping {transport:5} {nanos / 1000:8.1f} us (half a round trip, median)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="tiny size, one repetition: checks that it runs and moves")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    # name: flags, rounds of the outermost loop for a measurement and for a smoke run
    kinds = {
        "every poll": (["--mode", "jit", "--zeal", "migrate:1"], 200, 10),
        "rotate": (["--balance", "rotate"], 100_000, 20_000),
    }
    if args.smoke:
        kinds.pop("rotate")  # moves by the clock: a short run may see none
    results = {}
    with tempfile.TemporaryDirectory(prefix="jvmc-bench-") as folder:
        for name, (flags, full, small) in kinds.items():
            n, repetitions, rounds = (small, 1, 20) if args.smoke else (full, args.repetitions, 2000)
            results[name] = measure(args.bin, pathlib.Path(folder), flags, n, repetitions, rounds)
            show(name, results[name])
        for frames in (3, 10):
            size = (20, 1, 20) if args.smoke else (3000, args.repetitions, 2000)
            results[f"pause {frames}"] = measure_pauses(args.bin, pathlib.Path(folder), frames, *size)
            show_pauses(results[f"pause {frames}"])
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
