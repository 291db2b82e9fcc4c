#!/usr/bin/env python3
"""What irc promises on the command line: exit codes, streams, several inputs, bad inputs. Usage: irc_test.py IRC"""

import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import unittest

IRC = None
MAIN = "func @main() -> i32 {\n  %n = call @seven()\n  return %n\n}\n"
LIBRARY = "func @seven() -> i32 {\n  return 7\n}\n"
BAD = "func @f() -> i32 {\n  return %x\n}\n"


class Irc(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)

    def write(self, name, content):
        path = self.path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    def irc(self, *args, stdin=b"", env=None, stdout=subprocess.PIPE):
        result = subprocess.run([IRC, *args], cwd=self.path, input=stdin, stdout=stdout, stderr=subprocess.PIPE,
                                timeout=60, env={**os.environ, **(env or {})})
        self.assertNotIn(b"internal error", result.stderr)
        return result

    def expect(self, code, *args, **kwargs):
        result = self.irc(*args, **kwargs)
        self.assertEqual(result.returncode, code, (result.stdout or b"").decode(errors="replace") + result.stderr.decode(errors="replace"))
        return result

    def test_several_texts_become_one_module(self):
        files = [self.write("main.ir", MAIN), self.write("library.ir", LIBRARY)]
        self.expect(1, "check", files[0])
        self.expect(0, "check", *files)
        self.expect(0, "build", *files, "-o", "program.irm")
        self.expect(0, "check", "program.irm")
        text = self.expect(0, "dis", "program.irm").stdout
        self.write("again.ir", text)
        self.expect(0, "build", "again.ir", "-o", "again.irm")
        self.assertEqual(self.expect(0, "dis", "again.irm").stdout, text)

    def test_natives_may_be_declared_alike_twice(self):
        native = "native @math.sin(f64) -> f64 pure\n"
        a, b = self.write("a.ir", native + MAIN), self.write("b.ir", native + LIBRARY)
        self.expect(0, "check", a, b)
        other = self.write("c.ir", "native @math.sin(f64) -> f64 node\n" + LIBRARY)
        self.assertIn(b"IR0021", self.expect(1, "check", a, other).stderr)

    def test_inputs_are_known_by_content(self):
        self.write("main.ir", MAIN + LIBRARY)
        self.expect(0, "build", "main.ir", "-o", "stored.bin")
        self.expect(0, "check", "stored.bin")
        self.expect(0, "dis", "stored.bin", "--function", "seven")
        self.expect(0, "check", "-", stdin=(MAIN + LIBRARY).encode())
        self.expect(0, "check", "-", stdin=(self.path / "stored.bin").read_bytes())

    def test_usage_errors_are_2(self):
        for args in ([], ["nonsense"], ["check"], ["check", "--color", "blue", "x"], ["fmt", "-i", "--check", "x"],
                     ["build", "x.ir"], ["check", "--error-limit", "-1", "x"], ["dis", "--no-such-flag", "x"]):
            self.expect(2, *args)
        self.expect(0, "--help")
        self.expect(0, "check", "--help")

    def test_files_that_cannot_be_used_are_3(self):
        for command in ("check", "dis", "fmt"):
            self.assertIn(b"No such file", self.expect(3, command, "missing.ir").stderr)
            self.expect(3, command, ".")
        good = self.write("good.ir", MAIN + LIBRARY)
        self.expect(3, "build", good, "-o", "no/such/folder/x.irm")
        self.assertEqual(list(self.path.glob("*.irm")), [])

    def test_a_full_disk_is_3(self):
        good = self.write("good.ir", MAIN + LIBRARY)
        self.expect(3, "build", good, "-o", "/dev/full")
        with open("/dev/full", "wb") as full:
            for command in ("dis", "fmt"):
                self.assertIn(b"No space left", self.expect(3, command, good, stdout=full).stderr)

    def test_what_cannot_be_written_whole_is_not_written_at_all(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails then as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        source = "func @f( ) {\n return\n}\n" + "// a long comment\n" * 100
        path = self.write("source.ir", source)
        os.chmod(self.path / path, 0o640)
        for args in (["fmt", "-i", path], ["build", path, "-o", "source.irm"], ["emit", "llvm", path, "-o", "source.ll"]):
            done = subprocess.run([IRC, *args], cwd=self.path, preexec_fn=limit, capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 3, args)
            self.assertIn(b"File too large", done.stderr)
            self.assertEqual([p.name for p in self.path.iterdir()], [path])
            self.assertEqual((self.path / path).read_text(), source)
        os.symlink(path, self.path / "link.ir")
        self.expect(0, "fmt", "-i", "link.ir")
        self.assertTrue((self.path / "link.ir").is_symlink())
        self.expect(0, "fmt", "--check", path)
        self.assertEqual((self.path / path).stat().st_mode & 0o777, 0o640)

    def test_wrong_usage_says_what_was_probably_meant(self):
        for args, words in ((["chek", "x.ir"], b"irc: error: A subcommand is required"), (["chek", "x.ir"], b"'check'"),
                            (["check", "--jsn", "x.ir"], b"did you mean '--json'"), (["run", "--zeal", "gc", "x"], b"bad item 'gc'"),
                            (["run", "--zeal", "io:3", "x"], b"need 'jvmcluster run'"), (["run", "--heap", "1K", "x"], b"bad size"),
                            (["check", "--jsn", "x.ir"], b"See 'irc check --help'")):
            self.assertIn(words, self.expect(2, *args).stderr)

    def test_the_manual_names_every_flag_and_no_other(self):
        manual = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "reference" / "irc.md").read_text()
        commands = json.loads(self.expect(0, "help", "--describe").stdout)["commands"]
        helps = b"".join(self.expect(0, *command, "--help").stdout for command in [[]] + [c["words"][1:] for c in commands]).decode()
        flags = set(re.findall(r"--[a-z][a-z-]+", helps))
        self.assertEqual({f for f in flags if f not in manual and f != "--version"}, set())
        self.assertEqual({f for f in re.findall(r"--[a-z][a-z-]+", manual) if f not in flags}, set())

    def test_the_first_program_of_the_readme_runs(self):
        readme = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text()
        program = next(part for part in readme.split("```\n") if part.startswith("module"))
        self.assertEqual(self.expect(0, "run", "--workers", "2", self.write("hello.ir", program)).stdout, b"10000\n")

    def test_a_reader_that_has_gone_ends_the_program_quietly(self):
        self.write("print.ir", 'native @io.print(array(i8)) outside\nfunc @main() -> i32 {\n  %t = new_bytes "x"\n'
                   "  call_native @io.print(%t)\n  return 0\n}\n")
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "wb") as closed:
            self.assertEqual(self.expect(128 + signal.SIGPIPE, "run", "print.ir", stdout=closed).stderr, b"")

    def test_damaged_modules_are_one_clear_error(self):
        self.write("main.ir", MAIN + LIBRARY)
        self.expect(0, "build", "main.ir", "-o", "good.irm")
        good = (self.path / "good.irm").read_bytes()
        for name, content in {"cut.irm": good[:-8], "head.irm": good[:20], "empty.irm": b"", "text.irm": MAIN.encode(),
                              "flipped.irm": good[:200] + bytes([good[200] ^ 1]) + good[201:]}.items():
            result = self.expect(1, "check", self.write(name, content))
            self.assertIn(b"IR0041", result.stderr)
            self.assertTrue(result.stderr.rstrip().endswith(b"1 error"), result.stderr)
        self.write("other.ir", LIBRARY)
        self.assertIn(b"cannot be joined", self.expect(1, "check", "good.irm", "other.ir").stderr)

    def test_optimised_functions_are_not_stored(self):
        path = self.write("o.ir", "func @f() {\n  return\n}\n\noptimised func @f() {\n  return\n}\n")
        self.expect(0, "check", path)
        self.expect(1, "build", path, "-o", "o.irm")

    def test_emitted_functions_can_be_read_beside_the_program(self):
        path = self.write("sum.ir", MAIN + LIBRARY + "func @spin(%n: i32) {\n  br loop(0)\nloop(%i: i32):\n"
                          "  %c = lt.i32 %i, %n\n  br_if %c, next, done\nnext:\n  thread_yield\n"
                          "  %k = add.i32 %i, 1\n  br loop(%k)\ndone:\n  return\n}\n")
        for flags in ([], ["--checked"], ["--passes", "none"], ["--seed", "5"]):
            self.expect(0, "emit", "ir", *flags, path, "-o", "optimised.ir")
            self.assertIn(b"framestate #0", (self.path / "optimised.ir").read_bytes())
            self.expect(0, "check", path, "optimised.ir")

    def test_json_has_one_object_a_line_and_nothing_else(self):
        path = self.write("bad.ir", BAD + BAD.replace("@f", "@g"))
        result = self.expect(1, "check", "--json", path)
        self.assertEqual(result.stderr, b"")
        objects = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([(o["code"], o["line"], o["column"], o["endColumn"]) for o in objects],
                         [("IR0014", 2, 10, 12), ("IR0014", 5, 10, 12)])

    def test_colour_only_where_it_is_wanted(self):
        path = self.write("bad.ir", BAD)
        self.assertNotIn(b"\x1b", self.expect(1, "check", path).stderr)
        self.assertIn(b"\x1b", self.expect(1, "check", "--color", "always", path).stderr)
        self.assertNotIn(b"\x1b", self.expect(1, "check", "--color", "never", path).stderr)
        hostile = self.write("hostile.ir", 'func @f() {\n  call @"\\x1b[31mred"()\n  return\n}\n')
        self.assertNotIn(b"\x1b", self.expect(1, "check", hostile).stderr)

    def test_fmt_in_place_and_check(self):
        path = self.write("f.ir", "func @f( ) {\n return\n}")
        self.assertEqual(self.expect(1, "fmt", "--check", path).stdout, b"f.ir\n")
        self.assertEqual(json.loads(self.expect(1, "fmt", "--check", "--json", path).stdout), {"place": "f.ir", "formatted": False})
        formatted = self.expect(0, "fmt", path).stdout
        self.assertEqual(formatted, b"func @f() {\n  return\n}\n")
        self.expect(0, "fmt", "-i", path)
        self.assertEqual((self.path / path).read_bytes(), formatted)
        self.expect(0, "fmt", "--check", path)
        bad = self.write("bad.ir", "func {")
        self.expect(1, "fmt", "-i", bad)
        self.assertEqual((self.path / bad).read_bytes(), b"func {", "a broken file is left alone")

    def test_garbage_is_refused(self):
        for seed in range(20):
            content = bytes((seed * 37 + i * i * 11 + i // 3) % 256 for i in range(2000))
            self.expect(1, "check", self.write("garbage.ir", content))


if __name__ == "__main__":
    IRC = os.path.abspath(sys.argv.pop(1))
    unittest.main()
