#!/usr/bin/env python3
"""Threads that move while they are deep in compiled code, and while they wait. Usage: moves_test.py JVMCLUSTER

The statistics say what was moved, so a run in which nothing of the kind happened fails even though its output is right.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

JVMCLUSTER = None
PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
PATIENCE = 120  # seconds; the machine may be busy
THREADS = 4
CALLS_DEEP = 5


def signed(word):
    word &= 2**64 - 1
    return word - 2**64 if word >> 63 else word


def nested_moves(rounds, inner):
    """What nested_moves.ir prints."""
    table = (11, 13, 17, 19)
    lines = []
    for x in range(THREADS):
        for _ in range(rounds):
            for _ in range(2 * inner):
                for k in range(inner):
                    x = (x * 6364136223846793005 + table[x & 3] + k) & (2**64 - 1)
            x += sum(range(CALLS_DEEP + 1))
        lines.append(f"{signed(x)}\n")
    return "".join(lines)


def run(*arguments):
    """The program's output and the run's statistics."""
    with tempfile.TemporaryDirectory(prefix="jvmc-moves-") as folder:
        stats = pathlib.Path(folder) / "stats.json"
        env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        env.update(XDG_RUNTIME_DIR=folder, HOME=folder)
        done = subprocess.run([JVMCLUSTER, "run", "--stats", stats, *map(str, arguments)], env=env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise AssertionError(f"exit code {done.returncode}: {done.stderr}")
        return done.stdout, json.loads(stats.read_text())


class CompiledFrames(unittest.TestCase):
    """A thread moves about once a descent, so that its frames are native ones and not yet those of the last move."""

    @classmethod
    def setUpClass(cls):
        rounds, inner, polls_a_descent = 400, 20, 40
        cls.output, cls.stats = run("--nodes", 2, "--mode", "jit", "--balance", "off", "--zeal",
                                    f"migrate:{polls_a_descent + 5}", PROGRAMS / "nested_moves.ir", rounds, inner)
        cls.expected = nested_moves(rounds, inner)
        cls.captures = cls.stats["total"]["captures"]
        cls.not_moved = cls.captures["captures"] - cls.captures["byReason"]["migrate"]

    def test_a_thousand_moves_out_of_nested_loops(self):
        self.assertEqual(self.output, self.expected)
        self.assertGreaterEqual(self.stats["total"]["moves"]["in"], 1000)
        # Even if every capture for another reason had been in a nested loop too:
        self.assertGreaterEqual(sum(self.captures["compiledByLoopDepth"][2:]) - self.not_moved, 1000)

    def test_three_compiled_frames_and_more_move_at_once(self):
        self.assertEqual(self.captures["framesInterpreted"], 0)
        three_and_more = self.captures["byCompiledDepthPowerOfTwo"][2:]
        self.assertGreaterEqual(sum(three_and_more) - self.not_moved, 500)

    def test_every_thread_that_left_has_arrived(self):
        moves = self.stats["total"]["moves"]
        self.assertEqual((moves["in"], moves["refused"], moves["duplicates"]), (moves["out"], 0, 0))


class Waits(unittest.TestCase):
    def test_threads_move_in_each_kind_of_wait_and_are_woken(self):
        for mode in ("interp", "jit"):
            with self.subTest(mode=mode):
                output, stats = run("--nodes", 3, "--mode", mode, "--balance", "rotate", PROGRAMS / "waiting_moves.ir")
                self.assertEqual(output, "11111\n")
                moved = stats["total"]["moves"]["out_by_wait"]
                for wait in ("sleep", "monitorEnter", "monitorWait", "join", "park"):
                    self.assertGreaterEqual(moved[wait], 1, wait)


class Initialisers(unittest.TestCase):
    def test_initialisers_move_midway_and_are_still_run_once(self):
        """The program ends only if each of its initialisers has moved; a cycle of two sees half of the first."""
        for mode in ("interp", "jit", "auto"):
            with self.subTest(mode=mode):
                output, stats = run("--nodes", 2, "--mode", mode, "--balance", "rotate",
                                    PROGRAMS / "moving_initialisers.ir")
                self.assertEqual(output, "111\n111\n3\n")
                self.assertGreaterEqual(stats["total"]["moves"]["in"], 6)


class Tiers(unittest.TestCase):
    def test_moved_threads_are_soon_in_compiled_code_again_on_every_node(self):
        program = PROGRAMS / "nested_moves.ir", 400, 1000
        expected, _ = run("--nodes", 1, "--mode", "jit", *program)
        output, stats = run("--nodes", 3, "--mode", "auto", "--balance", "rotate", *program)
        self.assertEqual(output, expected)
        self.assertGreaterEqual(stats["total"]["moves"]["in"], 10)
        nodes = stats["nodes"]
        self.assertEqual(len({node["pid"] for node in nodes}), 3, "nodes are processes")
        for node in nodes:
            interpreted = node["captures"]["cpuNanosInterpreter"]
            compiled = node["captures"]["cpuNanosCompiled"]
            self.assertGreater(compiled, 0, f"node {node['node']} did no work")
            self.assertGreaterEqual(compiled / (interpreted + compiled), 0.8, f"node {node['node']}")


if __name__ == "__main__":
    JVMCLUSTER = sys.argv.pop()
    unittest.main()
