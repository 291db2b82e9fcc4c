#!/usr/bin/env python3
"""perf and GDB name compiled functions: the files they read are right, and they show the names.

    native_tools_test.py BIN_FOLDER [unittest arguments]
"""
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

BIN = None
PROGRAM = pathlib.Path(__file__).resolve().parent / "programs" / "fibonacci.ir"


def parse_jitdump(data, pid):
    """The (name, address, code) of each function; asserts every rule of perf's specification of the format."""
    magic, version, size, machine, padding, dumper, _, flags = struct.unpack_from("=IIIIIIQQ", data)
    assert (magic, version, size, padding, flags) == (0x4A695444, 1, 40, 0, 0), (hex(magic), version, size, flags)
    assert machine in (62, 183) and dumper == pid, (machine, dumper, pid)
    functions, at, last, closed = [], size, 0, False
    while at < len(data):
        assert not closed, "a record after the closing one"
        kind, total, time = struct.unpack_from("=IIQ", data, at)
        assert time >= last and total >= 16 and at + total <= len(data), (kind, total, time, last)
        last = time
        if kind == 0:
            owner, tid, virtual, address, code_size, number = struct.unpack_from("=IIQQQQ", data, at + 16)
            end = data.index(b"\0", at + 56)
            code = data[end + 1:at + total]
            assert owner == pid and tid and virtual == address and len(code) == code_size > 0, (owner, address, code_size)
            assert number == len(functions), "numbers are unique and ascend"
            functions.append((data[at + 56:end].decode(), address, code))
        else:
            assert kind == 3 and total == 16, (kind, total)
            closed = True
        at += total
    assert closed and at == len(data)
    return functions


class NativeTools(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="jvmc-native-")
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        (self.path / "run").mkdir(mode=0o700)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        self.env.update(JITDUMPDIR=str(self.path), XDG_RUNTIME_DIR=str(self.path / "run"), HOME=str(self.path))

    def run_program(self, *words, expected="75025"):
        """The process number of a run that went well."""
        process = subprocess.Popen([str(w) for w in words], env=self.env, cwd=self.path, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        out, err = process.communicate(timeout=120)
        map_file = pathlib.Path(f"/tmp/perf-{process.pid}.map")
        self.addCleanup(lambda: map_file.unlink(missing_ok=True))
        self.assertEqual((process.returncode, out), (0, expected), err)
        return process.pid

    def dumps(self):
        return sorted(self.path.glob("jit-*.dump"))

    def test_nothing_is_written_unless_asked_for(self):
        pid = self.run_program(BIN / "irc", "run", "--mode", "jit", PROGRAM, "25")
        self.assertEqual(self.dumps(), [])
        self.assertFalse(pathlib.Path(f"/tmp/perf-{pid}.map").exists())

    def test_map_and_jitdump_name_the_same_functions_at_the_same_places(self):
        pid = self.run_program(BIN / "irc", "run", "--mode", "jit", "--perf", "map,jitdump", PROGRAM, "25")
        functions = parse_jitdump((self.path / f"jit-{pid}.dump").read_bytes(), pid)
        self.assertTrue(any(name.startswith("fibonacci#") for name, _, _ in functions))
        lines = pathlib.Path(f"/tmp/perf-{pid}.map").read_text().splitlines()
        mapped = [re.fullmatch(r"([0-9a-f]+) ([0-9a-f]+) (\S.*)", line) for line in lines]
        self.assertEqual([(m[3], int(m[1], 16), int(m[2], 16)) for m in mapped],
                         [(name, address, len(code)) for name, address, code in functions])

    def test_each_node_of_a_cluster_writes_its_own(self):
        self.run_program(BIN / "jvmcluster", "run", "--nodes", "2", "--workers", "1", "--mode", "jit", "--perf", "jitdump",
                         PROGRAM, "25")
        self.assertGreaterEqual(len(self.dumps()), 1)
        for dump in self.dumps():
            data, pid = dump.read_bytes(), int(dump.stem[4:])
            functions = parse_jitdump(data if data.endswith(struct.pack("=I", 16)) else self.closed(data), pid)
            self.assertTrue(functions)

    def closed(self, data):
        """A node is ended without much ado: its dump then lacks the closing record, which perf does not need."""
        at = 40
        while at < len(data):
            kind, total, time = struct.unpack_from("=IIQ", data, at)
            at += total
            if kind == 3:
                return data
        return data + struct.pack("=IIQ", 3, 16, time)

    def test_perf_shows_functions_by_name(self):
        if not shutil.which("perf"):
            self.skipTest("perf is not installed")
        record = ["perf", "record", "-q", "-k", "1", "-e", "cpu-clock", "-F", "1999", "-o", "perf.data", "--"]
        probe = subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-o", str(self.path / "probe.data"), "true"],
                               capture_output=True, text=True, timeout=60)
        if probe.returncode:
            self.skipTest("perf may not record here: " + probe.stderr.strip()[:100])
        self.run_program(*record, BIN / "irc", "run", "--mode", "jit", "--perf", "map,jitdump", PROGRAM, "36",
                         expected="14930352")
        (dump,) = self.dumps()
        pid = dump.stem[4:]
        self.addCleanup(lambda: pathlib.Path(f"/tmp/perf-{pid}.map").unlink(missing_ok=True))
        report = ["perf", "report", "--stdio", "--sort", "symbol", "-i"]
        self.assertIn("fibonacci#", self.output(*report, "perf.data"), "by the map")
        self.output("perf", "inject", "--jit", "-i", "perf.data", "-o", "jit.data")
        self.assertTrue(list(self.path.glob("jitted-*.so")), "perf inject has read the dump")
        pathlib.Path(f"/tmp/perf-{pid}.map").unlink()
        self.assertIn("fibonacci#", self.output(*report, "jit.data"), "by the dump")

    def output(self, *words):
        result = subprocess.run(words, env=self.env, cwd=self.path, capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_a_backtrace_of_gdb_names_functions(self):
        if not shutil.which("gdb"):
            self.skipTest("gdb is not installed")
        self.env["DEBUGINFOD_URLS"] = ""
        program = [BIN / "irc", "run", "--mode", "jit", "--zeal", "capture:1000000000", "--gdb", PROGRAM, "12"]
        words = ["gdb", "-nx", "-batch", "-ex", "set pagination off", "-ex", "handle all nostop noprint pass", "-ex",
                 "break jvmc_poll", "-ex", "run", "-ex", "backtrace 12", "-ex", "kill", "--args", *map(str, program)]
        shown = self.output(*words)
        if re.search("ptrace|not permitted", shown):
            self.skipTest("gdb may not trace here")
        frames = re.findall(r"^#\d+ .*$", shown, re.M)
        self.assertTrue(frames and "jvmc_poll" in frames[0], shown)
        self.assertRegex("\n".join(frames[1:]), r"\bfibonacci#\d+")


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv[1]).resolve()
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:])
