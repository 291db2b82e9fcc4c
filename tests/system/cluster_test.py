#!/usr/bin/env python3
"""Runs jvmcluster as a user does: streams, exit codes, signals, lost nodes, commands, agents, strangers at the port.

    cluster_test.py JVMCLUSTER [unittest arguments]

Every test has a runtime folder and a home of its own, and fails if a process, socket or file is left behind.
"""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

JVMCLUSTER = None
HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
RUN_TESTS = HERE.parent / "run"
BALANCE_PROGRAMS = HERE.parent.parent / "benchmarks" / "balance"
PATIENCE = 60  # seconds; the machine may be busy


def wait_until(condition, what, patience=PATIENCE):
    """The first true value of `condition`."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {patience} s in vain for {what}")


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


class ClusterTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="jvmc-system-")
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        (self.path / "run").mkdir(mode=0o700)
        self.env = {**os.environ, "XDG_RUNTIME_DIR": str(self.path / "run"), "XDG_CONFIG_HOME": str(self.path / "config"),
                    "HOME": str(self.path)}
        for name in list(self.env):
            if name.startswith("JVMC_"):
                del self.env[name]
        self.started = []

    def tearDown(self):
        for process in self.started:
            process.terminate()
        for process in self.started:
            process.communicate(timeout=PATIENCE)
        wait_until(lambda: not self.leftovers(), f"everything to be cleaned up: {self.leftovers()}", 10)

    def leftovers(self):
        """Files in the runtime folder, and processes that belong to this test."""
        found = [str(p) for p in (self.path / "run").rglob("*") if p.name != "jvmcluster"]
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                environment = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"jvmcluster" in command and str(self.path / "run").encode() in environment and alive(entry.name):
                found.append(f"process {entry.name}: {command.decode().replace(chr(0), ' ')}")
        return found

    def jvmcluster(self, *arguments, **options):
        """Runs to the end."""
        options.setdefault("timeout", PATIENCE)
        options.setdefault("stdin", subprocess.DEVNULL if "input" not in options else None)
        if options["stdin"] is None:
            del options["stdin"]
        return subprocess.run([JVMCLUSTER, *map(str, arguments)], env=self.env, text=True, capture_output="stdout" not in options,
                              **options)

    def start(self, *arguments):
        process = subprocess.Popen([JVMCLUSTER, *map(str, arguments)], env=self.env, text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.started.append(process)
        return process

    def start_forever(self, *options):
        process = self.start("run", *options, PROGRAMS / "forever.ir")
        self.assertEqual(process.stdout.readline(), "started\n", process.poll() and process.stderr.read())
        return process

    def json(self, *arguments):
        result = self.jvmcluster(*arguments, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        value = json.loads(result.stdout)
        self.assertEqual(value["schemaVersion"], 1)
        return value


class Streams(ClusterTest):
    def test_arguments_stdin_stdout_stderr_and_exit_code_pass_through(self):
        for nodes in (1, 3):
            with self.subTest(nodes=nodes):
                result = self.jvmcluster("run", "--nodes", nodes, RUN_TESTS / "stdio_and_exit_code.ir", "one", "two three",
                                         input="first\nsecond")
                self.assertEqual(result.returncode, 7, result.stderr)
                self.assertEqual(result.stdout, "2\ntwo three\nfirst\nsecond\nend of input\n")
                self.assertEqual(result.stderr, "to standard error\n")

    def test_arguments_that_look_like_flags_belong_to_the_program(self):
        result = self.jvmcluster("run", RUN_TESTS / "stdio_and_exit_code.ir", "--nodes", "--help")
        self.assertEqual(result.stdout.splitlines()[:2], ["2", "--help"])

    def test_output_is_complete_and_in_order(self):
        expected = "".join(f"{i}\n" for i in range(500))
        for options in ([], ["--zeal", "io:3"], ["--zeal", "io:1"]):
            with self.subTest(options=options):
                result = self.jvmcluster("run", *options, PROGRAMS / "numbers.ir", 500)
                self.assertEqual(result.stdout, expected)
                self.assertEqual(result.returncode, 0)

    def test_an_array_of_200_mib_reaches_a_thread_on_another_node(self):
        n = 200 * 2**20 // 8
        result = self.jvmcluster("run", "--nodes", "2", "--balance", "off", PROGRAMS / "large_array.ir", n)
        self.assertEqual(result.stdout, f"{n * (n - 1) // 2}\n" * 2, result.stderr)

    def test_a_full_disk_is_an_error_of_the_program(self):
        with open("/dev/full", "w") as full:
            result = self.jvmcluster("run", PROGRAMS / "numbers.ir", 5, stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, 1)
        self.assertIn("No space left on device", result.stderr)

    def test_statistics_on_a_full_disk_fail_the_run(self):
        result = self.jvmcluster("run", "--stats", "/dev/full", PROGRAMS / "numbers.ir", 1)
        self.assertEqual(result.returncode, 125)
        self.assertIn("cannot write '/dev/full'", result.stderr)

    def test_a_reader_that_has_gone_ends_the_program_quietly(self):
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "w") as closed:
            result = self.jvmcluster("run", PROGRAMS / "numbers.ir", 5, stdout=closed, stderr=subprocess.PIPE)
        self.assertEqual((result.returncode, result.stderr), (128 + signal.SIGPIPE, ""))

    def test_closed_streams_stay_closed(self):
        """No socket or file of the launcher may take their numbers: output would go there, and input come from there."""
        def run(program, redirection):
            return subprocess.run(["sh", "-c", f'exec "$0" run "$1" 2 3 {redirection}', JVMCLUSTER, str(program)], env=self.env,
                                  text=True, capture_output=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
        result = run(PROGRAMS / "numbers.ir", ">&-")
        self.assertEqual(result.returncode, 1)
        self.assertIn("standard output: Bad file descriptor", result.stderr)
        result = run(RUN_TESTS / "stdio_and_exit_code.ir", "<&-")
        self.assertEqual(result.returncode, 1)
        self.assertIn("standard input: Bad file descriptor", result.stderr)

    def test_an_uncaught_exception_is_reported_and_exits_with_1(self):
        result = self.jvmcluster("run", PROGRAMS / "numbers.ir")  # the argument is missing
        self.assertEqual(result.returncode, 1)
        self.assertIn("IndexOutOfBounds", result.stderr)


class Ends(ClusterTest):
    def test_signals_end_the_program_with_128_plus_n_and_leave_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number=number):
                process = self.start_forever("--nodes", "2")
                process.send_signal(number)
                self.assertEqual(process.wait(PATIENCE), 128 + number)

    def test_a_killed_node_ends_the_program_and_the_error_names_what_was_lost(self):
        process = self.start_forever("--nodes", "2")
        victim = self.json("nodes")["nodes"][1]
        time.sleep(0.7)  # the launcher has heard what runs there
        os.kill(victim["pid"], signal.SIGKILL)
        self.assertEqual(process.wait(PATIENCE), 125)
        error = process.stderr.read()
        self.assertIn(f"node 1 (process {victim['pid']}) was killed by signal 9", error)
        self.assertRegex(error, r"lost with it: (\d+ thread|no thread)")

    def test_a_killed_launcher_takes_its_nodes_along(self):
        process = self.start_forever("--nodes", "2")
        pids = [node["pid"] for node in self.json("nodes")["nodes"]]
        process.kill()
        process.wait()
        wait_until(lambda: not any(alive(pid) for pid in pids), "the nodes to end")
        self.assertEqual(self.json("ps")["programs"], [])  # and this removes the folder that was left

    def test_a_time_limit_exits_with_124(self):
        started = time.monotonic()
        result = self.jvmcluster("run", "--timeout", "1", PROGRAMS / "forever.ir")
        self.assertEqual(result.returncode, 124)
        self.assertIn("did not end within 1 s", result.stderr)
        self.assertLess(time.monotonic() - started, 30)

    def test_statistics_count_captures_on_every_node(self):
        stats = self.path / "stats.json"
        self.assertEqual(self.jvmcluster("run", "--nodes", "2", "--stats", stats, PROGRAMS / "numbers.ir", 20).returncode, 0)
        content = json.loads(stats.read_text())
        self.assertEqual(content["schemaVersion"], 1)
        self.assertEqual(len(content["nodes"]), 2)
        self.assertNotEqual(content["nodes"][0]["pid"], content["nodes"][1]["pid"])
        self.assertGreaterEqual(content["total"]["captures"]["byWait"]["outside"], 1)
        self.assertEqual(content["total"]["captures"]["captures"],
                         sum(node["captures"]["captures"] for node in content["nodes"]))


class Usage(ClusterTest):

    def test_statistics_go_to_standard_output_after_what_the_program_prints(self):
        result = self.jvmcluster("run", "--stats", "-", PROGRAMS / "numbers.ir", 3)
        self.assertEqual(result.returncode, 0)
        printed, brace, rest = result.stdout.partition("{")
        self.assertEqual(json.loads(brace + rest)["exitCode"], 0)
        self.assertEqual(printed, self.jvmcluster("run", PROGRAMS / "numbers.ir", 3).stdout)
    def fails(self, code, part, *arguments):
        result = self.jvmcluster(*arguments)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertIn(part, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertNotIn("\033", result.stderr)

    def test_wrong_usage_exits_with_2_and_suggests(self):
        self.fails(2, "did you mean 'nodes'", "ndoes")
        self.fails(2, "did you mean '--json'", "ps", "--jsno")
        self.fails(2, "the program is missing", "run")
        self.fails(2, "unknown option --nods", "run", "--nods", "3", "x.ir")
        self.fails(2, "--zeal: bad item 'capture'", "run", "--zeal", "capture", "x.ir")
        self.fails(2, "--heap: bad size '1'", "run", "--heap", "1", "x.ir")
        self.fails(2, "--timeout: '-1' is not a number of seconds", "run", "--timeout", "-1", "x.ir")
        self.fails(2, "--mode", "run", "--mode", "fast", "x.ir")

    def test_programs_that_cannot_run(self):
        self.fails(127, "No such file", "run", "nowhere.ir")
        self.fails(126, "is a folder", "run", self.path)
        bad = self.path / "bad.ir"
        bad.write_text("func @main() { retrun }\n")
        self.fails(126, "bad.ir:1", "run", bad)
        bad = self.path / "bad.irm"
        bad.write_bytes(b"JVMC-IRM" + bytes(100))
        self.fails(126, "bad.irm", "run", bad)
        self.fails(126, "larger than", "run", "/dev/zero")
        noMain = self.path / "no_main.ir"
        noMain.write_text("func @other() { return }\n")
        self.fails(126, "main", "run", noMain)

    def test_the_manual_names_every_flag_and_no_other(self):
        manual = (HERE.parents[1] / "docs" / "reference" / "cli.md").read_text()
        commands = json.loads(self.jvmcluster("help", "--describe").stdout)["commands"]
        helps = "".join(self.jvmcluster(*command, "--help").stdout for command in [[]] + [c["words"][1:] for c in commands])
        flags = set(re.findall(r"--[a-z][a-z-]+", helps))
        self.assertEqual({f for f in flags if f not in manual and f != "--version"}, set())
        self.assertEqual({f for f in re.findall(r"--[a-z][a-z-]+", manual) if f not in flags}, {"--some-flag"})

    def test_colour_obeys_flag_and_environment(self):
        self.assertIn("\033[", self.jvmcluster("--color", "always", "run", "nowhere.ir").stderr + self.jvmcluster(
            "--color", "always", "stop").stderr)
        self.env["NO_COLOR"] = "1"
        self.assertNotIn("\033[", self.jvmcluster("stop").stderr)

    def test_flags_may_come_from_the_environment(self):
        self.env["JVMC_MODE"] = "warp"
        self.fails(2, "warp", "run", "x.ir")


class Commands(ClusterTest):
    def test_commands_find_the_running_program_by_themselves(self):
        process = self.start_forever("--nodes", "2", "--balance", "off")
        programs = self.json("ps")["programs"]
        self.assertEqual([p["name"] for p in programs], ["forever.ir"])
        self.assertEqual(programs[0]["nodes"], 2)
        self.assertEqual({t["name"] for t in programs[0]["threads"]} & {"busy", "idle"}, {"busy", "idle"})

        nodes = self.json("nodes")["nodes"]
        self.assertEqual([n["node"] for n in nodes], [0, 1])
        self.assertTrue(all(alive(n["pid"]) and n["rssBytes"] > 0 for n in nodes))

        def where():
            return next(t["node"] for t in self.json("threads")["threads"] if t["name"] == "busy")

        for _ in range(2):
            source = where()
            result = self.jvmcluster("migrate", "busy", 1 - source)
            self.assertEqual(result.returncode, 0, result.stderr)
            wait_until(lambda: where() == 1 - source, "the busy thread to arrive")

        table = self.jvmcluster("threads", "-o", "wide").stdout
        self.assertEqual(table.split()[:3], ["NAME", "ID", "NODE"])
        self.assertIn("is on node", self.jvmcluster("migrate", "busy", where()).stdout)
        cpu = next(t["cpuNanos"] for t in self.json("threads")["threads"] if t["name"] == "busy")
        wait_until(lambda: next(t["cpuNanos"] for t in self.json("threads")["threads"] if t["name"] == "busy") > cpu,
                   "the CPU time of a thread that never stops to grow")
        self.assertEqual(self.jvmcluster("migrate", "nobody", 0).returncode, 4)
        self.assertEqual(self.jvmcluster("migrate", "busy", 7).returncode, 4)
        self.assertEqual(self.jvmcluster("threads", "zzz").returncode, 4)
        self.assertEqual(self.jvmcluster("stop").returncode, 0)
        self.assertEqual(process.wait(PATIENCE), 143)

    def test_blocks_move_while_threads_use_what_is_in_them(self):
        process = self.start("run", "--nodes", "3", "--balance", "off", PROGRAMS / "shared_list.ir")
        self.assertEqual(process.stdout.readline(), "again\n")
        moved = 0
        for source, target in [(0, 1), (1, 2), (2, 0), (0, 2), (2, 1), (1, 0)]:
            result = self.json("migrate", "--blocks", "64M", source, target)
            self.assertEqual((result["from"], result["to"], result["refusal"]), (source, target, ""))
            moved += result["bytes"]
            self.assertEqual(process.stdout.readline(), "again\n")
        self.assertGreater(moved, 1 << 20)
        self.assertEqual(self.json("migrate", "--blocks", "4M", 0, 1, "--dry-run")["bytes"], 0)
        self.assertEqual(self.jvmcluster("migrate", "--blocks", "4M", 0, 3).returncode, 4)
        self.assertEqual(self.jvmcluster("migrate", "--blocks", "a lot", 0, 1).returncode, 2)
        self.assertEqual(self.jvmcluster("stop").returncode, 0)
        self.assertEqual(set(process.communicate(timeout=PATIENCE)[0].split()) - {"again"}, set())

    def test_inspect_shows_what_lies_where_and_what_it_costs(self):
        process = self.start("run", "--nodes", "3", "--balance", "off", PROGRAMS / "shared_list.ir")
        self.assertEqual(process.stdout.readline(), "again\n")
        before = self.json("inspect", "--collect")["nodes"]
        self.assertEqual([n["node"] for n in before], [0, 1, 2])
        for node in before:
            homed = node["homed"]
            self.assertGreater(node["heap"]["collections"], 0)
            self.assertGreaterEqual(homed["objects"], sum(c["objects"] for c in homed["classes"]))
            self.assertEqual([c["bytes"] for c in homed["classes"]], sorted((c["bytes"] for c in homed["classes"]), reverse=True))
        total = {}
        for node in before:
            for row in node["homed"]["classes"]:
                total[row["class"]] = total.get(row["class"], 0) + row["objects"]
        self.assertEqual(total["Node"], 20_000)
        self.assertGreater(sum(n["summary"]["roundTrips"] for n in before), 0)
        for ours, theirs in (("bytesOut", "bytesIn"), ("bytesIn", "bytesOut")):
            self.assertGreater(sum(n["summary"][ours] for n in before), 0)

        self.assertGreater(self.json("migrate", "--blocks", "64M", 0, 1)["groups"], 0)
        after = self.json("inspect", "--top", 1)["nodes"]
        self.assertGreater(after[0]["summary"]["blocksOut"], 0)
        self.assertEqual(after[0]["summary"]["blocksOut"], after[1]["summary"]["blocksIn"])
        self.assertTrue(all(len(n["homed"]["classes"]) <= 1 for n in after))
        self.assertGreater(after[1]["homed"]["objects"], before[1]["homed"]["objects"])

        wide = self.jvmcluster("inspect", "-o", "wide").stdout
        for word in ("HITS", "CLASS", "CHANNEL", "REQUEST"):
            self.assertIn(word, wide)
        self.assertEqual(self.jvmcluster("inspect", "zzz").returncode, 4)
        self.assertEqual(self.jvmcluster("stop").returncode, 0)

    def test_inspect_of_a_program_on_one_node(self):
        self.start_forever()
        node, = self.json("inspect")["nodes"]
        self.assertEqual((node["summary"]["roundTrips"], node["summary"]["hitShare"]), (0, None))
        self.assertEqual(self.jvmcluster("stop").returncode, 0)

    def test_an_ambiguous_program_lists_the_candidates(self):
        self.start_forever()
        self.start_forever()
        result = self.jvmcluster("threads")
        self.assertEqual(result.returncode, 1)
        self.assertIn("several programs run", result.stderr)
        self.assertEqual(len(self.json("ps")["programs"]), 2)

    def test_without_a_cluster(self):
        self.assertEqual(self.json("ps")["programs"], [])
        for command in (["nodes"], ["threads"], ["stop"], ["migrate", "1", "0"]):
            self.assertEqual(self.jvmcluster(*command).returncode, 3)
        self.assertEqual(self.jvmcluster("ps", "--cluster", "127.0.0.1:1").returncode, 4)  # there is no key yet


class Balance(ClusterTest):
    def busy(self):
        """Node and number of moves of each busy thread."""
        return {t["name"]: (t["node"], t["moves"]) for t in self.json("threads")["threads"] if t["name"].startswith("busy")}

    def test_a_node_with_ten_idle_and_two_busy_threads_loses_a_busy_one_and_then_all_stay(self):
        process = self.start("run", "--nodes", 2, "--workers", 1, "--balance", "threshold", PROGRAMS / "ten_idle_two_busy.ir")
        self.assertEqual(process.stdout.readline(), "started\n")
        before = wait_until(lambda: len(b := self.busy()) == 2 and b, "the busy threads")
        for name, (node, _) in before.items():
            if node != 0:
                self.assertEqual(self.jvmcluster("migrate", name, 0).returncode, 0)
        def parted():
            busy = self.busy()
            return busy if len({node for node, _ in busy.values()}) == 2 and sum(m for _, m in busy.values()) >= 2 else None

        apart = wait_until(parted, "the balancer to part the busy threads")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            self.assertEqual(self.busy(), apart, "a balanced cluster moves nothing")
            time.sleep(1)
        threads = self.json("threads")["threads"]
        self.assertEqual([t["moves"] for t in threads if t["name"] == "idle"], [0] * 10)
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 128 + signal.SIGTERM)

    def start_waiting(self, program, *arguments, **options):
        """A benchmark program whose threads wait for a line of input."""
        words = [word for name, value in options.items() for word in ([f"--{name.replace('_', '-')}"] +
                                                                      ([] if value is True else [value]))]
        process = self.start("run", "--nodes", 2, *words, BALANCE_PROGRAMS / program, *arguments)
        self.assertEqual(process.stdout.readline(), "ready\n", process.poll() and process.stderr.read())
        return process

    def go(self, process):
        process.stdin.write("\n")
        process.stdin.flush()

    def place(self, **wanted):
        """Moves threads to nodes, by name; nobody asks for a move once they wait there."""
        def placed():
            wrong = [t for t in self.json("threads")["threads"] if wanted.get(t["name"].replace("-", "_"), t["node"]) != t["node"]]
            for thread in wrong:
                self.jvmcluster("migrate", thread["id"], wanted[thread["name"].replace("-", "_")])
            return not wrong
        wait_until(placed, "the threads to get to their places")

    def decisions(self):
        return self.json("why")["decisions"]

    def end(self, process):
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 128 + signal.SIGTERM)

    def test_why_says_that_nothing_has_been_decided(self):
        process = self.start_forever("--nodes", 2, "--balance", "off")
        told = self.json("why")
        self.assertEqual((told["decisions"], told["policy"], told["dryRun"]), ([], "off", False))
        result = self.jvmcluster("why")
        self.assertEqual((result.returncode, result.stdout), (0, "the balancer (off) has decided nothing\n"))
        self.assertEqual(self.jvmcluster("why", "nobody").returncode, 4)
        self.end(process)

    def test_why_tells_the_reason_and_what_came_of_it(self):
        process = self.start_waiting("load_step.ir", 4, 6000, workers=1, balance="threshold")
        self.place(**{f"busy_{i}": 0 for i in range(4)})
        time.sleep(1)
        self.go(process)
        moved = wait_until(lambda: [d for d in self.decisions() if d["measuredGain"] is not None], "measured decisions")
        self.assertEqual({d["from"] for d in moved}, {0})
        for decision in moved:
            self.assertEqual((decision["kind"], decision["to"]), ("thread", 1))
            self.assertIn(decision["outcome"], ("moved", "unseen"))
            self.assertGreater(decision["predictedGain"], 0)
            self.assertRegex(decision["reason"], r"node 0 wants \d+\.\d of 1 cores, node 1 \d+\.\d of 1")
        name = moved[0]["name"]
        table = self.jvmcluster("why", name).stdout.splitlines()
        self.assertEqual(table[0].split()[:8], ["AGE", "WHAT", "NAME", "FROM", "TO", "PREDICTED", "MEASURED", "OUTCOME"])
        self.assertEqual({row.split()[2] for row in table[1:]}, {name})
        # Node 0 has decided that; it leaves, and what it has decided does not.
        self.assertEqual(self.jvmcluster("drain", 0).returncode, 0)
        self.assertEqual([node["node"] for node in self.json("nodes")["nodes"]], [1])
        numbers = lambda decisions: {(d["node"], d["number"], d["measuredGain"]) for d in decisions}
        self.assertLessEqual(numbers(moved), numbers(self.decisions()))
        self.end(process)

    def test_a_dry_run_decides_and_moves_nothing(self):
        process = self.start_waiting("load_step.ir", 4, 20000, workers=1, balance="threshold", balance_dry_run=True)
        self.place(**{f"busy_{i}": 0 for i in range(4)})
        before = self.busy()
        self.go(process)
        wait_until(self.decisions, "decisions")
        time.sleep(2)
        told = self.json("why")
        self.assertTrue(told["dryRun"])
        self.assertEqual({d["outcome"] for d in told["decisions"]}, {"dry-run"})
        self.assertEqual(self.busy(), before)
        self.end(process)

    def test_as_long_as_a_node_has_idle_workers_its_threads_stay(self):
        process = self.start_waiting("load_step.ir", 2, 20000, workers=2, balance="greedy")
        self.place(busy_0=0, busy_1=0)
        before = self.busy()
        self.go(process)
        time.sleep(3)
        self.assertEqual(self.busy(), before)
        self.assertEqual(self.decisions(), [])
        self.end(process)

    def test_pinned_threads_stay_until_they_are_unpinned(self):
        process = self.start_waiting("load_step.ir", 2, 30000, workers=1, balance="threshold")
        self.place(busy_0=0)
        self.assertEqual(self.jvmcluster("pin", "busy-0").returncode, 0)
        self.assertEqual(self.json("pin", "busy-1", "--node", 0)["node"], 0)
        wait_until(lambda: self.busy()["busy-1"][0] == 0, "the thread to go where it is pinned")
        pinned = {t["name"]: t["pinned"] for t in self.json("threads")["threads"]}
        self.assertEqual(pinned, {"main": False, "busy-0": True, "busy-1": True})
        result = self.jvmcluster("migrate", "busy-1", 1)
        self.assertEqual(result.returncode, 1)
        self.assertIn("pinned to node 0", result.stderr)
        self.go(process)
        time.sleep(3)
        self.assertEqual({node for node, _ in self.busy().values()}, {0})
        self.assertEqual(self.decisions(), [])
        self.assertEqual(self.jvmcluster("unpin", "busy-1").returncode, 0)
        wait_until(lambda: self.busy()["busy-1"][0] == 1, "the unpinned thread to move")
        self.assertEqual(self.busy()["busy-0"][0], 0)
        self.end(process)

    def test_a_node_that_is_drained_sends_its_pinned_threads_away_and_they_stay_pinned(self):
        process = self.start_waiting("load_step.ir", 2, 30000, workers=1, balance="threshold")
        self.assertEqual(self.jvmcluster("pin", "busy-0", "--node", 1).returncode, 0)
        wait_until(lambda: self.busy()["busy-0"][0] == 1, "the thread to go where it is pinned")
        self.assertEqual(self.json("drain", 1)["state"], "left")
        thread = [t for t in self.json("threads")["threads"] if t["name"] == "busy-0"][0]
        self.assertEqual((thread["node"], thread["pinned"]), (0, True))
        self.end(process)

    def test_affinity_separates_two_groups_that_share_objects(self):
        process = self.start_waiting("two_groups.ir", 3, 20000, workers=1, balance="affinity")
        self.place(**{f"g{g}_{i}": (g + i) % 2 for g in range(2) for i in range(3)})
        time.sleep(1.2)
        self.go(process)
        def groups():
            at = {t["name"]: t["node"] for t in self.json("threads")["threads"]}
            return [{at[f"g{g}-{i}"] for i in range(3)} for g in range(2)]
        wait_until(lambda: sorted(map(tuple, groups())) == [(0,), (1,)], "the groups to part")
        self.assertTrue(any("objects/s" in d["reason"] for d in self.decisions()))
        self.end(process)


class Agents(ClusterTest):
    def start_agent(self, *options):
        """The process and its address."""
        before = set(self.addresses())
        process = self.start("node", "--listen", "127.0.0.1:0", *options)
        return process, wait_until(lambda: set(self.addresses()) - before or process.poll() is not None, "the agent").pop()

    def addresses(self):
        return [p.read_text().split("\n")[0] for p in (self.path / "run").glob("jvmcluster/agent-*/endpoint")]

    def test_a_program_runs_on_agents_and_leaves_them_as_they_were(self):
        first, address = self.start_agent()
        second, other = self.start_agent("--join", address)
        agents = wait_until(lambda: len(a := self.json("nodes", "--cluster", address)["agents"]) == 2 and a, "two agents")
        self.assertEqual({a["address"] for a in agents}, {address, other})
        self.assertEqual(set(self.jvmcluster("nodes", "-o", "name", "--cluster", address).stdout.split()), {address, other})
        for at in (address, other):
            result = self.jvmcluster("run", "--cluster", at, RUN_TESTS / "stdio_and_exit_code.ir", "a", "b c", input="x\n")
            self.assertEqual(result.returncode, 7, result.stderr)
            self.assertIn("b c\nx\n", result.stdout)
        wait_until(lambda: sum(a["vms"] for a in self.json("nodes", "--cluster", other)["agents"]) == 0, "the VMs to end")
        for agent in (first, second):
            agent.send_signal(signal.SIGTERM)
            self.assertEqual(agent.wait(PATIENCE), 0)

    def test_two_programs_at_once_on_the_same_agents(self):
        _, address = self.start_agent()
        _, other = self.start_agent("--join", address)
        wait_until(lambda: len(self.json("nodes", "--cluster", address)["agents"]) == 2, "two agents")
        programs = [self.start_forever("--cluster", at, "--nodes", "3") for at in (address, other)]
        found = self.json("ps", "--cluster", address)["programs"]
        self.assertEqual([p["nodes"] for p in found], [3, 3])
        self.assertEqual(sum(a["vms"] for a in self.json("nodes", "--cluster", other)["agents"]), 6)
        self.assertEqual(self.jvmcluster("stop", found[0]["id"]).returncode, 0)
        wait_until(lambda: any(p.poll() is not None for p in programs), "one of them to end")
        self.assertEqual([p["id"] for p in self.json("ps")["programs"]], [found[1]["id"]])
        self.assertEqual(self.jvmcluster("stop", found[1]["id"]).returncode, 0)
        self.assertEqual([p.wait(PATIENCE) for p in programs], [143, 143])

    def test_commands_reach_a_program_through_any_agent(self):
        _, address = self.start_agent()
        _, other = self.start_agent("--join", address)
        wait_until(lambda: len(self.json("nodes", "--cluster", address)["agents"]) == 2, "two agents")
        program = self.start_forever("--cluster", address)
        for at in (address, other):
            found = self.json("ps", "--cluster", at)["programs"]
            self.assertEqual([p["nodes"] for p in found], [2])
            self.assertEqual(len(self.json("inspect", "--cluster", at)["nodes"]), 2)
        self.assertEqual(self.jvmcluster("stop", found[0]["id"][:4], "--cluster", other).returncode, 0)
        self.assertEqual(program.wait(PATIENCE), 143)

    def test_a_killed_agent_ends_its_programs_with_an_error(self):
        _, address = self.start_agent()
        victim, other = self.start_agent("--join", address)
        wait_until(lambda: len(self.json("nodes", "--cluster", address)["agents"]) == 2, "two agents")
        program = self.start_forever("--cluster", address)
        victim.kill()
        self.assertEqual(program.wait(PATIENCE), 125)
        self.assertRegex(program.stderr.read(), "node [01] .*lost")
        self.assertEqual(len(wait_until(lambda: len(a := self.json("nodes", "--cluster", address)["agents"]) == 1 and a, "one agent")), 1)
        self.assertEqual(self.jvmcluster("run", "--cluster", address, PROGRAMS / "numbers.ir", 3).stdout, "0\n1\n2\n")
        self.assertEqual(self.json("ps")["programs"], [])  # removes the folder of the killed one

    def test_a_port_in_use_and_a_public_address_are_refused(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            result = self.jvmcluster("node", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
            self.assertEqual(result.returncode, 1)
            self.assertIn("in use", result.stderr)
        result = self.jvmcluster("node", "--listen", "0.0.0.0:0")
        self.assertEqual(result.returncode, 1)
        self.assertIn("name the address", result.stderr)

    def test_garbage_at_the_port_is_logged_and_harmless(self):
        agent, address = self.start_agent()
        port = int(address.rsplit(":", 1)[1])
        for number, data in enumerate([b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 4096, os.urandom(5000), b"JVMC" + b"\xff" * 100,
                                       b"JVMC\x10\0\0\0" + bytes(16), b""]):
            with self.subTest(number=number), socket.create_connection(("127.0.0.1", port), PATIENCE) as s:
                try:
                    s.sendall(data)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(4096):
                        pass
                except OSError:
                    pass  # it hung up while we were talking
        self.assertEqual(self.jvmcluster("run", "--cluster", address, PROGRAMS / "numbers.ir", 2).stdout, "0\n1\n")
        agent.send_signal(signal.SIGTERM)
        self.assertGreaterEqual(agent.communicate(timeout=PATIENCE)[1].count("refused a connection"), 5)

    def test_a_wrong_key_is_refused_with_a_clear_error(self):
        agent, address = self.start_agent()
        wrong = self.path / "wrong"
        wrong.write_text("00" * 32 + "\n")
        wrong.chmod(0o600)
        result = self.jvmcluster("run", "--cluster", address, "--key-file", wrong, PROGRAMS / "numbers.ir", 2)
        self.assertEqual(result.returncode, 125)
        self.assertIn("wrong cluster key", result.stderr)
        wrong.chmod(0o644)
        result = self.jvmcluster("ps", "--cluster", address, "--key-file", wrong)
        self.assertEqual(result.returncode, 1)
        self.assertIn("chmod 600", result.stderr)
        agent.send_signal(signal.SIGTERM)
        self.assertIn("wrong cluster key", agent.communicate(timeout=PATIENCE)[1])


if __name__ == "__main__":
    JVMCLUSTER = str(pathlib.Path(sys.argv[1]).resolve())
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
