#!/usr/bin/env python3
"""What the balancer is worth: how fast it reacts, how much it moves, and what a program gains by it.

    balance.py --bin build/release/bin [--only NAME] [--repetitions N] [--smoke] [--json FILE]

  reaction   eight threads wait on one node of two (of one worker each), then compute all at once (load_step.ir). Time
             from that moment until the fourth of them computes on the other node: then both have four.
  rate       2000 threads that keep computing briefly are to leave a node: threads a second, by `rotate`.
  speed-up   one of five threads does half of the work in each stage (unbalanced.ir): wall time with the balancer off
             and on, interleaved.
  affinity   two groups of threads that share objects, each thread on the wrong node every other time (two_groups.ir):
             requests between the nodes without a balancer and afterwards, and whether the groups are apart.
  cost       CPU of a balanced program (two_groups.ir with few uses) with the balancer off and on, and what sampling
             takes, by the statistics.

Medians, with the lowest and highest.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent / "balance"
PATIENCE = 120  # seconds


class Cluster:
    """A runtime folder of its own, and the tool in it."""

    def __init__(self, tool):
        self.tool = tool
        self.folder = tempfile.TemporaryDirectory(prefix="jvmc-bench-")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        self.env.update(XDG_RUNTIME_DIR=self.folder.name, HOME=self.folder.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def run(self, program, *arguments, nodes=2, workers=1, balance="off", options=()):
        return subprocess.Popen([self.tool, "run", "--nodes", str(nodes), "--workers", str(workers), "--balance", balance,
                                 *map(str, options), HERE / program, *map(str, arguments)], env=self.env, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def command(self, *words):
        done = subprocess.run([self.tool, *map(str, words), "--json"], env=self.env, text=True, capture_output=True,
                              timeout=PATIENCE)
        if done.returncode != 0:
            sys.exit(f"{words}: {done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def threads(self):
        return self.command("threads")["threads"]

    def place(self, wanted):
        """Moves threads, by name, and waits until they are there."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            wrong = [t for t in self.threads() if t["name"] in wanted and t["node"] != wanted[t["name"]]]
            if not wrong:
                return
            for thread in wrong:
                self.command("migrate", thread["id"], wanted[thread["name"]])
        sys.exit("the threads do not get to their places")


def reaction(tool, smoke, balance="threshold"):
    with Cluster(tool) as cluster:
        run = cluster.run("load_step.ir", 8, 300 if smoke else 1500, balance=balance)
        assert run.stdout.readline() == "ready\n"
        cluster.place({f"busy-{i}": 0 for i in range(8)})
        time.sleep(0.2 if smoke else 1.5)  # threads that have moved rest
        out = run.communicate("\n", timeout=PATIENCE)[0]
        moved = sorted(int(us) / 1000 for us in re.findall(r"moved after (\d+) us", out))
        first = moved[0] if moved else float("nan")
        return {"firstMillis": first, "evenMillis": moved[3] if len(moved) > 3 else float("nan"), "moved": len(moved)}


def rate(tool, smoke):
    threads = 100 if smoke else 2000
    with Cluster(tool) as cluster:
        stats = pathlib.Path(cluster.folder.name) / "stats.json"
        run = cluster.run("../elastic_load.ir", threads, 1, 0, balance="rotate", options=["--stats", stats])
        assert run.stdout.readline() == "started\n"
        begun = time.monotonic()
        before = sum(t["moves"] for t in cluster.threads())
        time.sleep(1 if smoke else 5)
        after = sum(t["moves"] for t in cluster.threads())
        took = time.monotonic() - begun
        cluster.command("stop")
        run.communicate(timeout=PATIENCE)
        return {"threadsPerSecond": (after - before) / took}


def speed_up(tool, smoke):
    arguments = (5, 1, 2000) if smoke else (5, 5, 400_000)
    seconds = {}
    for balance in ("off", "threshold", "greedy"):
        with Cluster(tool) as cluster:
            begun = time.monotonic()
            run = cluster.run("unbalanced.ir", *arguments, balance=balance)
            out = run.communicate(timeout=PATIENCE)[0]
            seconds[balance] = time.monotonic() - begun
            if run.returncode != 0 or seconds.setdefault("sum", out) != out:
                sys.exit(f"unbalanced.ir: exit code {run.returncode}, output {out!r}")
    return {"offSeconds": seconds["off"], "thresholdSeconds": seconds["threshold"], "greedySeconds": seconds["greedy"],
            "threshold": seconds["off"] / seconds["threshold"], "greedy": seconds["off"] / seconds["greedy"]}


def requests_per_second(cluster, seconds):
    def requests():
        nodes = cluster.command("inspect", "--top", 1)["nodes"]
        return sum(n["objects"]["fetches"] + n["objects"]["flush_messages"] + n["objects"]["sync_remote"] +
                   n["objects"]["refresh_messages"] for n in nodes), time.monotonic()
    (first, begun), _, (last, ended) = requests(), time.sleep(seconds), requests()
    return (last - first) / (ended - begun)


def start_mixed(cluster, balance, threads, smoke):
    """Each group begins with half of its threads on each node, its objects on the node of its number."""
    run = cluster.run("two_groups.ir", threads, 20_000, balance=balance, options=["--balance-dry-run"] if smoke else [])
    assert run.stdout.readline() == "ready\n"
    cluster.place({f"g{g}-{i}": (g + i) % 2 for g in range(2) for i in range(threads)})
    time.sleep(0.2 if smoke else 1.5)
    run.stdin.write("\n")
    run.stdin.flush()
    return run


def affinity(tool, smoke, threads=4):
    with Cluster(tool) as cluster:
        run = start_mixed(cluster, "off", threads, smoke)
        time.sleep(0.1 if smoke else 0.5)
        before = requests_per_second(cluster, 0.2 if smoke else 2)
        cluster.command("stop")
        run.communicate(timeout=PATIENCE)
    with Cluster(tool) as cluster:
        run = start_mixed(cluster, "affinity", threads, smoke)
        begun = time.monotonic()
        apart = None
        while time.monotonic() - begun < (1 if smoke else 15):
            placed = {t["name"]: t["node"] for t in cluster.threads() if t["name"].startswith("g")}
            groups = [{placed[f"g{g}-{i}"] for i in range(threads)} for g in range(2)]
            if all(len(g) == 1 for g in groups) and groups[0] != groups[1]:
                apart = time.monotonic() - begun
                break
            time.sleep(0.1)
        time.sleep(0.5 if smoke else 2)
        after = requests_per_second(cluster, 0.2 if smoke else 2)
        moves = sum(t["moves"] for t in cluster.threads())
        time.sleep(0 if smoke else 3)
        later = sum(t["moves"] for t in cluster.threads()) - moves
        decided = len(cluster.command("why")["decisions"])
        cluster.command("stop")
        run.communicate(timeout=PATIENCE)
        return {"beforePerSecond": before, "afterPerSecond": after, "fall": 1 - after / before if before else float("nan"),
                "apartSeconds": apart if apart is not None else float("nan"), "movesLater": later, "decided": decided}


def cost(tool, smoke):
    seconds, shares = {}, []
    for balance in ("off", "threshold", "affinity"):
        with Cluster(tool) as cluster:
            stats = pathlib.Path(cluster.folder.name) / "stats.json"
            usage = os.times()
            run = cluster.run("unbalanced.ir", 2, 1 if smoke else 3, 2000 if smoke else 800_000, balance=balance,
                              options=["--mode", "jit", "--stats", stats])
            run.communicate(timeout=PATIENCE)
            now = os.times()
            seconds[balance] = now.children_user + now.children_system - usage.children_user - usage.children_system
            content = json.loads(stats.read_text())
            if balance != "off":
                spent = content["total"]["balance"]["sample_nanos"] + content["total"]["balance"]["decide_nanos"]
                shares.append(spent / content["wallNanos"])
    return {"offCpuSeconds": seconds["off"], "thresholdCpu": seconds["threshold"] / seconds["off"],
            "affinityCpu": seconds["affinity"] / seconds["off"], "samplingShare": max(shares)}


BENCHMARKS = {"reaction": reaction, "rate": rate, "speed-up": speed_up, "affinity": affinity, "cost": cost}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--only", choices=BENCHMARKS)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one repetition: checks that it runs")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    rows = {}
    for name, measure in BENCHMARKS.items():
        if options.only not in (None, name):
            continue
        results = [measure(options.bin / "jvmcluster", options.smoke) for _ in range(1 if options.smoke else options.repetitions)]
        rows[name] = results
        print(name)
        for key in results[0]:
            values = [result[key] for result in results]
            print(f"  {key:20} {statistics.median(values):10.3f}   ({min(values):.3f} to {max(values):.3f})", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
