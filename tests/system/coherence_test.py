#!/usr/bin/env python3
"""How often programs ask for copies of objects again. Usage: coherence_test.py JVMCLUSTER

What the programs print would be right with any number of questions: the statistics tell.
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


def objects(program, mode, leases=True):
    """The run's statistics about objects, all nodes together."""
    with tempfile.TemporaryDirectory(prefix="jvmc-coherence-") as folder:
        stats = pathlib.Path(folder) / "stats.json"
        env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        env.update(XDG_RUNTIME_DIR=folder, HOME=folder)
        if not leases:
            env["JVMC_NO_LEASES"] = "1"
        done = subprocess.run([JVMCLUSTER, "run", "--nodes", "2", "--balance", "off", "--mode", mode, "--stats", stats,
                               PROGRAMS / program], env=env, text=True, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=PATIENCE)
        if done.returncode != 0:
            raise AssertionError(f"exit code {done.returncode}: {done.stderr}")
        return json.loads(stats.read_text())["total"]["objects"]


class Questions(unittest.TestCase):
    def test_a_volatile_store_leaves_the_copies_of_its_thread_alone(self):
        for mode in ("interp", "jit"):
            with self.subTest(mode):
                stats = objects("volatile_stores.ir", mode, leases=False)
                self.assertGreaterEqual(stats["served_syncs"], 1000, "the stores were not remote")
                # Without stores the copy is asked for again each 10 ms, and a busy machine makes the run a long one.
                self.assertLess(stats["served_fetches"] + stats["served_refreshes"], 500)

    def test_what_was_read_together_is_asked_for_together(self):
        for mode in ("interp", "jit"):
            with self.subTest(mode):
                stats = objects("read_sets.ir", mode, leases=False)
                self.assertGreaterEqual(stats["refreshed"], 10_000, "19 times 1000 objects are stale when they are read")
                self.assertGreaterEqual(stats["refreshed_same"], 0.9 * stats["refreshed"], "nothing changed")
                # A first pass without a group asks for each object that no other one refers to.
                self.assertLess(stats["fetches"], 3_000, "one wait an object would make 20,000")

    def test_what_has_not_changed_for_long_is_leased_and_not_asked_for_any_more(self):
        for mode in ("interp", "jit"):
            with self.subTest(mode):
                asked = objects("read_sets.ir", mode, leases=False)["refreshed"]
                stats = objects("read_sets.ir", mode)
                self.assertGreater(stats["leased"], 0)
                self.assertLess(stats["refreshed"], 0.8 * asked)


if __name__ == "__main__":
    JVMCLUSTER = sys.argv.pop()
    unittest.main()
