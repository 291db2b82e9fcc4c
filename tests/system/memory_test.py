#!/usr/bin/env python3
"""Programs that need the memory of many nodes. Usage: memory_test.py JVMCLUSTER

--heap is the limit of each node. What does not fit into one goes to others, unseen by the program; only when all are full
it gets OutOfMemoryError.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

JVMCLUSTER = None
PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
PATIENCE = 100  # seconds; the machine may be busy
NODES = 4
HEAP_MIB = 16
CHUNK_BYTES = 8 * 1024 + 32 * 32
CHUNKS = 3 * HEAP_MIB * (1 << 20) // CHUNK_BYTES
PLAN_BASE = 0x1400_0000_0000  # runtime/abi/address_plan.h


class HeapWatch(threading.Thread):
    """The most memory that each VM process has had in its address plan, read now and then."""

    def __init__(self, launcher):
        super().__init__()
        self.launcher, self.kib, self.over = launcher, {}, threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            self.look()

    def look(self):
        for pid in self.descendants(self.launcher):
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps").read_text()
            except OSError:
                continue
            kib = 0
            for area in re.finditer(r"^([0-9a-f]+)-[0-9a-f]+ .*\n(?:(?![0-9a-f]+-).*\n)*?Rss: +(\d+) kB", text, re.M):
                if PLAN_BASE <= int(area[1], 16) < PLAN_BASE + (65536 << 30):
                    kib += int(area[2])
            self.kib[pid] = max(self.kib.get(pid, 0), kib)

    @staticmethod
    def descendants(root):
        children = {}
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
        found, todo = [], [root]
        while todo:
            found += (new := children.get(todo.pop(), []))
            todo += new
        return found


def run(*arguments):
    """The program's output, the run's statistics by node, and the KiB of heap each process had at most."""
    with tempfile.TemporaryDirectory(prefix="jvmc-memory-") as folder:
        stats = pathlib.Path(folder) / "stats.json"
        env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        env.update(XDG_RUNTIME_DIR=folder, HOME=folder)
        process = subprocess.Popen([JVMCLUSTER, "run", "--stats", stats, *map(str, arguments)], env=env, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        watch = HeapWatch(process.pid)
        watch.start()
        try:
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            watch.over.set()
            watch.join()
        if process.returncode != 0:
            raise AssertionError(f"exit code {process.returncode}: {err}")
        return out, json.loads(stats.read_text())["nodes"], watch.kib


class KeepsMuch(unittest.TestCase):
    """Three times the limit of one node is live on four, and all of it is right in the end."""

    def keeps(self, threads, *options):
        each = CHUNKS // threads
        out, nodes, kib = run("--nodes", NODES, "--heap", f"{HEAP_MIB}M", *options, PROGRAMS / "keeps_much.ir", CHUNKS, threads)
        self.assertEqual(out, f"{each}\n0\n" * threads + "0\n")
        self.assertLess(max(kib.values()), 1.3 * (HEAP_MIB << 10) + 4096, f"a node outgrew its limit: {kib}")
        return nodes

    def test_one_thread_fills_its_node_and_others(self):
        for mode in ("interp", "jit", "auto"):
            with self.subTest(mode=mode):
                nodes = self.keeps(1, "--mode", mode, "--balance", "off")
                self.assertGreater(sum(node["blocks"]["moved_bytes"] for node in nodes), 3 * HEAP_MIB << 19)
                self.assertGreater(nodes[0]["memory"]["reliefs"], 0, "the thread never had to wait for memory")
                self.assertGreater(sum(node["objects"]["evicted_bytes"] for node in nodes), 0, "no copy was evicted")

    def test_the_balancer_moves_blocks_before_a_node_is_full(self):
        nodes = self.keeps(1, "--mode", "interp")
        self.assertGreater(sum(node["balance"]["block_moves"] for node in nodes), 0)

    # Threads that move allocate wherever they are: what they fill need not move.
    def test_many_threads_fill_all_nodes(self):
        self.keeps(6, "--mode", "auto")

    def test_threads_and_blocks_that_move_all_the_time(self):
        nodes = self.keeps(3, "--mode", "jit", "--zeal", "migrate:2000,blocks:20")
        self.assertGreater(sum(node["blocks"]["moved"] for node in nodes), 0)

    def test_threads_that_the_balancer_rotates(self):
        self.keeps(4, "--mode", "auto", "--balance", "rotate")


class WritesMuch(unittest.TestCase):
    """A thread writes more than its node can hold before it releases anything: copies go home early."""

    def test_written_copies_are_evicted(self):
        for mode in ("interp", "jit"):
            with self.subTest(mode=mode):
                out, nodes, kib = run("--nodes", NODES, "--heap", f"{HEAP_MIB}M", "--balance", "off", "--mode", mode,
                                      PROGRAMS / "writes_much.ir", CHUNKS)
                self.assertEqual(out, "0")
                self.assertLess(max(kib.values()), 1.3 * (HEAP_MIB << 10) + 4096, f"a node outgrew its limit: {kib}")
                self.assertGreater(sum(node["objects"]["early_releases"] for node in nodes), 0)


class FillsTheCluster(unittest.TestCase):
    def test_only_a_full_cluster_gives_out_of_memory_and_the_program_goes_on(self):
        for mode in ("interp", "jit"):
            with self.subTest(mode=mode):
                least = 2 * HEAP_MIB * (1 << 20) // (8 * 1024)  # more than two nodes could hold
                out, _, _ = run("--nodes", 3, "--heap", f"{HEAP_MIB}M", "--mode", mode, PROGRAMS / "fills_the_cluster.ir", least)
                self.assertEqual(out, "1\n1023\n1\n1\n")


class ChurnsSharedRings(unittest.TestCase):
    """Threads drop rings of objects that lie on all nodes: only all nodes together find that they are dead."""

    THREADS, ROUNDS, CELLS, HEAP = 9, 320, 60, 4
    # A cell is 56 bytes, its stamp 24: more than the heaps of three nodes hold, so without rounds the program fails.
    CHURNED = THREADS * ROUNDS * CELLS * (56 + 24)

    def churn(self, *options):
        program = PROGRAMS.parents[1] / "run" / "shared_garbage.ir"
        return run("--nodes", 3, "--heap", f"{self.HEAP}M", "--mode", "jit", *options, program, self.THREADS, self.ROUNDS,
                   self.CELLS, 0)

    def test_rounds_find_them(self):
        self.assertGreater(self.CHURNED, 3 * self.HEAP << 20)
        out, nodes, kib = self.churn("--rounds", "on")
        self.assertEqual(out, "0\n", "cells that were not as they were made")
        self.assertGreater(sum(node["collect"]["dead_bytes"] for node in nodes), self.CHURNED // 3)
        self.assertLess(max(kib.values()), 1.3 * (self.HEAP << 10) + 4096, f"a node outgrew its limit: {kib}")

    def test_while_threads_and_blocks_move(self):
        out, _, _ = self.churn("--rounds", "on", "--balance", "rotate", "--zeal", "blocks:20")
        self.assertEqual(out, "0\n")


if __name__ == "__main__":
    JVMCLUSTER = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
