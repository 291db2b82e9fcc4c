#!/usr/bin/env python3
"""How long a node takes to join a running program and to leave it, beside a raw socket copy of the bytes that it holds.

    elastic.py --bin build/release/bin [--threads N] [--kib K] [--filled] [--repetitions R] [--smoke] [--json FILE]

The program (elastic_load.ir) has N threads on two nodes, each with an array of K KiB, of which one element is written,
or with --filled all (some seconds before the rest begins): then all of it has memory where it leaves. *join*: from the command until the
new node takes threads. *leave*: from the launcher's first step until the node's process is dismissed, with its N/2
threads and N/2 arrays. *copy*: the bytes that moved, sent through a Unix socket between two processes in pieces of 256
KiB, right after. Medians, with the lowest and highest.
"""
import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE = 300  # seconds
FILLING = 4


def copy_seconds(size):
    """Time to send so many bytes to another process, which reads them all and says so."""
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        here.close()
        buffer, left = bytearray(1 << 18), size
        while left > 0:
            left -= there.recv_into(buffer)
        there.sendall(b"!")
        os._exit(0)
    there.close()
    piece = bytes(1 << 18)
    begun, left = time.monotonic(), size
    while left > 0:
        left -= here.send(piece[:min(left, len(piece))])
    here.recv(1)
    took = time.monotonic() - begun
    os.waitpid(child, 0)
    here.close()
    return took


def measure(tool, threads, kib, filled):
    with tempfile.TemporaryDirectory(prefix="jvmc-bench-") as folder:
        env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        env.update(XDG_RUNTIME_DIR=folder, HOME=folder)

        def command(*words):
            done = subprocess.run([tool, *map(str, words), "--json"], env=env, text=True, capture_output=True,
                                  timeout=PATIENCE)
            if done.returncode != 0:
                sys.exit(f"{words}: {done.stderr}{done.stdout}")
            return json.loads(done.stdout)

        run = subprocess.Popen([tool, "run", "--nodes", "2", "--workers", "1", "--balance", "off",
                                HERE / "elastic_load.ir", str(threads), str(kib), str(int(filled))], env=env, stdout=subprocess.PIPE)
        run.stdout.readline()
        if filled:
            time.sleep(FILLING)
        join = command("grow")["millis"]
        left = command("drain", 1)
        command("stop")
        run.communicate()
        return {"joinMillis": join, "leaveMillis": left["nanos"] / 1e6, "movedBytes": left["movedBytes"],
                "copyMillis": copy_seconds(left["movedBytes"]) * 1e3}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=2000)
    parser.add_argument("--kib", type=int, default=200)
    parser.add_argument("--filled", action="store_true")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    if options.smoke:
        options.threads, options.kib, options.repetitions = 20, 4, 1
    results = [measure(options.bin / "jvmcluster", options.threads, options.kib, options.filled)
               for _ in range(options.repetitions)]
    print(f"{options.threads} threads on two nodes with {options.kib} KiB each; "
          f"{results[0]['movedBytes'] / 2**20:.1f} MiB move")
    for name in ("joinMillis", "leaveMillis", "copyMillis"):
        values = [result[name] for result in results]
        print(f"  {name[:-6]:6} {statistics.median(values):8.1f} ms   ({min(values):.1f} to {max(values):.1f})")
    ratio = statistics.median(result["leaveMillis"] / result["copyMillis"] for result in results)
    print(f"  leave / copy {ratio:.1f}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
