#!/usr/bin/env python3
"""Nodes join and leave while programs run. Usage: elastic_test.py JVMCLUSTER [--changes N] [--seed S] [unittest arguments]

Each program's output is compared with that of a run on one node. `--changes`: how many joins and leaves the random test
makes at least (it runs programs again and again until then); a long run is --changes 500.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import unittest

JVMCLUSTER = None
OPTIONS = None
HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"
PROGRAMS = HERE / "programs"
LITMUS = HERE.parent / "litmus"
RUN = HERE.parent / "run"
PATIENCE = 120 * float(os.environ.get("JVMC_TEST_PATIENCE", "1"))  # seconds; the machine may be busy


class Program:
    """A program that runs in a folder of its own, so that commands find no other."""

    def __init__(self, *arguments, stdin=subprocess.DEVNULL):
        self.folder = tempfile.TemporaryDirectory(prefix="jvmc-elastic-")
        self.stats_file = pathlib.Path(self.folder.name) / "stats.json"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        self.env.update(XDG_RUNTIME_DIR=self.folder.name, XDG_CONFIG_HOME=self.folder.name, HOME=self.folder.name)
        self.process = subprocess.Popen([JVMCLUSTER, "run", "--stats", self.stats_file, *map(str, arguments)],
                                        env=self.env, text=True, stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)

    def command(self, *words):
        """Exit code, JSON output (or None) and stderr of a command."""
        done = subprocess.run([JVMCLUSTER, *map(str, words), "--json"], env=self.env, text=True, capture_output=True,
                              timeout=PATIENCE)
        return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr

    def nodes(self):
        code, found, _ = self.command("nodes")
        return [node["node"] for node in found["nodes"]] if code == 0 else []

    def await_start(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not self.nodes():
            if self.process.poll() is not None:
                return
            time.sleep(0.02)

    def running(self):
        return self.process.poll() is None

    def end(self):
        """Exit code, stdout, stderr, statistics."""
        out, err = self.process.communicate(timeout=PATIENCE)
        stats = json.loads(self.stats_file.read_text()) if self.stats_file.exists() else None
        self.folder.cleanup()
        return self.process.returncode, out, err, stats

    def kill(self):
        if self.running():
            self.process.terminate()
        return self.end()


def alone(*arguments):
    """What the program prints on one node."""
    program = Program(*arguments)
    code, out, err, _ = program.end()
    assert code == 0, err
    return out


class Joining(unittest.TestCase):
    def test_a_program_that_began_on_one_node_gets_a_second_one(self):
        program = Program("--elastic", "--workers", 1, "--balance", "rotate", PROGRAMS / "forever.ir")
        program.await_start()
        self.assertEqual(program.nodes(), [0])
        code, found, err = program.command("grow")
        self.assertEqual((code, found["node"]), (0, 1), err)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            _, threads, _ = program.command("threads")
            if any(thread["node"] == 1 for thread in threads["threads"]):
                break
            time.sleep(0.05)
        else:
            self.fail("no thread has come to the new node")
        program.kill()

    def test_a_program_that_was_compiled_for_one_node_says_so(self):
        program = Program(PROGRAMS / "forever.ir")
        program.await_start()
        code, _, err = program.command("grow")
        self.assertEqual(code, 1)
        self.assertIn("--elastic", err)
        program.kill()

    def test_there_is_an_end_to_it(self):
        program = Program("--nodes", 2, "--workers", 1, PROGRAMS / "forever.ir")
        program.await_start()
        code, _, err = program.command("grow", "--agent", "127.0.0.1:1")
        self.assertEqual(code, 1)
        self.assertIn("without agents", err)
        self.assertEqual(program.nodes(), [0, 1], "a node that could not join is still there")
        code, found, err = program.command("grow")
        self.assertEqual(code, 0, err)
        self.assertEqual(program.nodes(), [0, 1, found["node"]])
        program.kill()


class Leaving(unittest.TestCase):
    def test_who_cannot_leave_is_told(self):
        program = Program("--nodes", 2, "--workers", 1, PROGRAMS / "forever.ir")
        program.await_start()
        code, _, err = program.command("drain", 7)
        self.assertNotEqual(code, 0)
        self.assertIn("there is no node 7", err)
        self.assertEqual(program.nodes(), [0, 1])
        code, found, err = program.command("drain", 0)
        self.assertEqual((code, found["state"]), (0, "left"), err)
        code, found, err = program.command("drain", 1)
        self.assertEqual((code, found["state"]), (1, "stays"), err)
        self.assertIn("no node left", found["reason"])
        self.assertEqual(program.nodes(), [1])
        self.assertTrue(program.running())
        program.kill()

    def test_a_node_that_does_not_get_empty_in_time_stays_and_the_program_goes_on(self):
        program = Program("--nodes", 2, "--workers", 1, PROGRAMS / "echo_elsewhere.ir", stdin=subprocess.PIPE)
        program.await_start()
        code, found, err = program.command("drain", 1, "--deadline", 0.000001)
        self.assertEqual((code, found["state"]), (1, "stays"), err)
        self.assertGreater(found["estimatedNanos"], 0)
        self.assertIn("there were left", found["reason"])
        self.assertEqual(program.nodes(), [0, 1])
        out, err = program.process.communicate("a line\n", timeout=PATIENCE)
        self.assertEqual((program.process.returncode, out), (0, "a line\n"), err)
        program.folder.cleanup()

    def test_a_thread_that_waits_for_input_keeps_no_node(self):
        program = Program("--nodes", 2, "--workers", 1, PROGRAMS / "echo_elsewhere.ir", stdin=subprocess.PIPE)
        program.await_start()
        for leaver, stayer in (1, 0), (0, 2), (2, 3):  # its call goes from node to node
            code, found, err = program.command("drain", leaver)
            self.assertEqual((code, found["state"], found["outsideCallsLeft"]), (0, "left", 0), err)
            self.assertEqual(program.nodes(), [stayer])
            code, _, err = program.command("grow")
            self.assertEqual(code, 0, err)
        out, err = program.process.communicate("a line\n", timeout=PATIENCE)
        self.assertEqual((program.process.returncode, out), (0, "a line\n"), err)
        program.folder.cleanup()

    def test_a_deadline_that_looks_too_short_is_called_so(self):
        program = Program("--nodes", 2, "--workers", 1, PROGRAMS / "forever.ir")
        program.await_start()
        _, found, err = program.command("drain", 1, "--deadline", 0.001)
        self.assertIn("node 1 will probably not get empty in 0.0 s", err)
        self.assertIn(found["state"], ("left", "stays"))
        self.assertTrue(program.running())
        program.kill()

    def test_all_nodes_are_replaced_one_after_another(self):
        arguments = (EXAMPLES / "nbody.ir", 3000, 4)
        expected = alone(*arguments)
        program = Program("--nodes", 3, "--workers", 1, *arguments)
        program.await_start()
        replaced = 0
        for node in (0, 1, 2):
            if not program.running():
                break
            code, found, err = program.command("grow")
            if code != 0:
                break  # the program is over
            code, _, err = program.command("drain", node)
            if code != 0:
                break
            replaced += 1
        code, out, err, stats = program.end()
        self.assertEqual((code, out), (0, expected), err)
        self.assertGreater(replaced, 0, "the program was too short")
        self.assertTrue(all(stats["nodes"][:2]), "the statistics of a node that has left are missing")


class Agents(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="jvmc-elastic-")
        self.addCleanup(self.folder.cleanup)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        self.env.update(XDG_RUNTIME_DIR=self.folder.name, XDG_CONFIG_HOME=self.folder.name, HOME=self.folder.name)

    def agent(self, join=None):
        """A running agent and its address."""
        agent = subprocess.Popen([JVMCLUSTER, "node", "--listen", "127.0.0.1:0", "--drain", "60",
                                  *(["--join", join] if join else [])], env=self.env, text=True, stderr=subprocess.PIPE)
        self.addCleanup(agent.stderr.close)
        self.addCleanup(agent.kill)
        for line in agent.stderr:
            if "listening on " in line:
                return agent, line.split("listening on ")[1].strip()
        raise AssertionError("the agent has ended")

    def nodes(self, address):
        done = subprocess.run([JVMCLUSTER, "nodes", "--cluster", address, "--json"], env=self.env, text=True,
                              capture_output=True, timeout=PATIENCE)
        return [node["node"] for node in json.loads(done.stdout).get("nodes", [])] if done.returncode == 0 else []

    def await_nodes(self, address, wanted):
        end = time.monotonic() + PATIENCE
        while self.nodes(address) != wanted:
            self.assertLess(time.monotonic(), end, f"{self.nodes(address)} instead of {wanted}")
            time.sleep(0.05)

    def test_a_program_follows_the_agents_of_its_cluster(self):
        first, address = self.agent()
        second, _ = self.agent(address)
        program = subprocess.Popen([JVMCLUSTER, "run", "--cluster", address, "--workers", "1", "--balance", "rotate",
                                    PROGRAMS / "forever.ir"], env=self.env, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.await_nodes(address, [0, 1])
        third, elsewhere = self.agent(address)
        self.await_nodes(address, [0, 1, 2])
        second.terminate()
        self.assertEqual(second.wait(PATIENCE), 0, "its node did not get empty")
        self.await_nodes(elsewhere, [0, 2])
        self.assertIsNone(program.poll(), "the program is over")
        program.terminate()
        _, err = program.communicate(timeout=PATIENCE)
        self.assertEqual(err, "")
        for agent in (first, third):
            agent.terminate()
            self.assertEqual(agent.wait(PATIENCE), 0)


class AtRandom(unittest.TestCase):
    """Programs that use everything, while nodes come and go as fast as they can."""

    def change(self, program, rng):
        """One join or leave. False if the program is over."""
        nodes = program.nodes()
        if not nodes:
            return False
        leaves = len(nodes) > 4 or (len(nodes) > 1 and rng.random() < 0.5)
        words = ("drain", rng.choice(nodes)) if leaves else ("grow",)
        code, found, err = program.command(*words)
        if code != 0:
            # It may be just about to end; if it is not, this is an error.
            end = time.monotonic() + 20
            while program.running() and time.monotonic() < end:
                time.sleep(0.05)
            self.assertFalse(program.running(), f"{words}: {found} {err}")
        return code == 0

    def test_outputs_are_right_whatever_comes_and_goes(self):
        rng = random.Random(OPTIONS.seed)
        print(f"seed {OPTIONS.seed}", file=sys.stderr)
        programs = [
            (EXAMPLES / "nbody.ir", 2000, 4),
            (EXAMPLES / "stencil.ir", 200, 4),
            (EXAMPLES / "philosophers.ir", 6, 2000),
            (EXAMPLES / "mandelbrot.ir", 600, 400),
            (RUN / "waiting.ir",),
            (RUN / "wait_notify_buffer.ir",),
            (RUN / "interrupts.ir",),
            (RUN / "garbage.ir",),
            (LITMUS / "final_fields.ir",),
            (LITMUS / "read_sets.ir",),
        ]
        expected = {}
        ways = [("--mode", mode, "--balance", balance) for mode in ("interp", "jit", "auto")
                for balance in ("threshold", "rotate", "off")] + [("--mode", "auto", "--zeal", "migrate:11,blocks:5")]
        changes = runs = 0
        while changes < OPTIONS.changes:
            arguments, way = rng.choice(programs), rng.choice(ways)
            if arguments not in expected:
                expected[arguments] = alone(*arguments)
            program = Program("--nodes", rng.choice([1, 2, 3]), "--elastic", "--workers", 1, *way, *arguments)
            program.await_start()
            here = 0
            while program.running() and self.change(program, rng):
                here += 1
            code, out, err, _ = program.end()
            what = f"{[str(a) for a in (*way, *arguments)]} with {here} changes, seed {OPTIONS.seed}, run {runs}"
            self.assertEqual((code, out), (0, expected[arguments]), f"{what}: {err}")
            changes += here
            runs += 1
        print(f"{changes} joins and leaves in {runs} runs", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jvmcluster")
    parser.add_argument("--changes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    OPTIONS, rest = parser.parse_known_args()
    JVMCLUSTER = OPTIONS.jvmcluster
    unittest.main(argv=[sys.argv[0], *rest])
