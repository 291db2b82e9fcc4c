#!/usr/bin/env python3
"""Every tier calls the barrier before each reference store, and before nothing else. Usage: barrier_test.py IRC"""

import json
import pathlib
import subprocess
import sys
import unittest

IRC = None
PROGRAM = pathlib.Path(__file__).parent / "barriers.ir"
STORES = 9 * 100 + 2 * 100


class Barriers(unittest.TestCase):
    def calls(self, mode, zeal):
        done = subprocess.run([IRC, "run", "--mode", mode, "--zeal", zeal, "--stats", "-", PROGRAM], timeout=60,
                              stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)["heap"]["barrierCalls"]

    def test_interpreter_calls_it_before_each_reference_store(self):
        self.assertEqual(self.calls("interp", "barrier:1"), STORES)

    def test_compiled_code_calls_it_before_each_reference_store(self):
        self.assertEqual(self.calls("jit", "barrier:1"), STORES)

    def test_capture_neither_repeats_nor_skips_it(self):
        self.assertEqual(self.calls("interp", "barrier:1,capture:1"), STORES)
        self.assertEqual(self.calls("jit", "barrier:1,capture:1"), STORES)

    def test_it_is_not_called_unless_asked_for(self):
        self.assertEqual(self.calls("interp", "gc:1000"), 0)
        self.assertEqual(self.calls("jit", "gc:1000"), 0)


if __name__ == "__main__":
    IRC = sys.argv.pop()
    unittest.main()
