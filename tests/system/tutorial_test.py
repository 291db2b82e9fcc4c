#!/usr/bin/env python3
"""docs/tutorial.md keeps its word: what it lets the tools say of its programs, they say.

    tutorial_test.py JVMCLUSTER
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "examples/tutorial"
PATIENCE = 120  # seconds; the machine may be busy
NUMBERS = "20000"
ANSWER = "53 steps: 362 numbers; all together 1834604\n"


class Tutorial(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="jvmc-tutorial-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        self.env.update(XDG_RUNTIME_DIR=folder.name, XDG_CONFIG_HOME=folder.name, HOME=folder.name)

    def jvmcluster(self, *words):
        result = subprocess.run([JVMCLUSTER, *map(str, words)], env=self.env, text=True, capture_output=True, timeout=PATIENCE,
                                stdin=subprocess.DEVNULL)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def profile(self, version, *arguments):
        """Of a run on two nodes with the threads two and two, by mode."""
        path = self.folder / f"{version}.json"
        answer = self.jvmcluster("run", "--nodes", 2, "--workers", 1, "--balance", "off", "--prof", path, "--prof-mode",
                                 "lock,remote", PROGRAMS / f"collatz_{version}.ir", *arguments)
        return path, answer

    def lines(self, path, mode):
        """By function: share of the time (lock), or number of fetches (remote)."""
        rows = {}
        for row in self.jvmcluster("prof", "--load", path, "--mode", mode).splitlines():
            found = re.search(r"(\w+) +collatz_\d\.ir:(\d+)$", row)
            if not found:
                continue
            number = re.search(r"([\d.]+)%", row) if mode == "lock" else re.match(r"(\d+)", row)
            rows[found[1]] = rows.get(found[1], 0) + float(number[1])
        return rows

    def test_each_version_gives_the_same_answer(self):
        for version in (1, 2, 3):
            for nodes in (1, 2):
                self.assertEqual(self.jvmcluster("run", "--nodes", nodes, "--workers", 1, PROGRAMS / f"collatz_{version}.ir", NUMBERS),
                                 ANSWER)

    def test_the_profiles_name_the_two_lines_of_the_first_version(self):
        path, answer = self.profile(1, NUMBERS)
        self.assertEqual(answer, ANSWER)
        locks = self.lines(path, "lock")
        self.assertEqual(set(locks), {"take", "count"})
        self.assertGreater(min(locks.values()), 5)
        remote = self.lines(path, "remote")
        rest = [fetches for function, fetches in remote.items() if function not in ("take", "count")]
        self.assertGreater(min(remote["take"], remote["count"]), max(rest, default=0), remote)

    def test_of_the_second_one_is_left(self):
        path, answer = self.profile(2, "100000")
        locks = self.lines(path, "lock")
        self.assertGreater(locks["take"], 80)
        self.assertNotIn("count", locks)
        before, _ = self.profile(1, "20000")
        changes = self.jvmcluster("prof", "--diff", before, path, "--mode", "lock")
        self.assertRegex(changes, r"(?m)^-\S+ .* count@collatz_1\.ir:48$")
        self.assertRegex(changes, r"(?m)^\+\S+ .* take@collatz_2\.ir:39$")

    def test_the_third_hardly_asks(self):
        path, _ = self.profile(3, "3000000")
        fetches = sum(self.lines(path, "remote").values())
        self.assertLess(fetches, 100)

    def test_the_lines_that_it_names_are_those_of_the_programs(self):
        text = (ROOT / "docs/tutorial.md").read_text()
        named = set(re.findall(r"(?:(\w+)@|\b(\w+) +)(collatz_\d\.ir):(\d+)", text))
        self.assertGreater(len(named), 5)
        for at, before, program, line in named:
            function, source = None, (PROGRAMS / program).read_text().splitlines()
            for each in source[:int(line)]:
                if found := re.match(r"func @(\w+)", each):
                    function = found[1]
            self.assertEqual(function, at or before, f"{program}:{line}")
            if function in ("take", "count"):
                self.assertRegex(source[int(line) - 1], "monitor_enter|load_field|load_elem", f"{program}:{line}")


if __name__ == "__main__":
    JVMCLUSTER = pathlib.Path(sys.argv[1]).resolve()
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:])
