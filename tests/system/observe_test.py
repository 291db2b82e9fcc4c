#!/usr/bin/env python3
"""Looks at running programs: profiles, stuck threads, timelines. Usage: observe_test.py JVMCLUSTER [TESTS]

The programs have something known to find (programs/observed.ir, programs/deadlock.ir); each view must name it.
"""
import gzip
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

JVMCLUSTER = None
PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
OBSERVED, DEADLOCK, ON_LOAN = (PROGRAMS / name for name in ("observed.ir", "deadlock.ir", "deadlock_on_loan.ir"))
PROFILES = pathlib.Path(__file__).resolve().parent / "profiles"
PATIENCE = 120  # seconds; the machine may be busy


def line_of(program, comment):
    """The line of a program that ends with this comment."""
    for number, text in enumerate(program.read_text().splitlines(), 1):
        if text.endswith("// " + comment):
            return number
    raise AssertionError(f"no line says {comment}")


HOT, FETCHES, WAITS, ALLOCATES = (line_of(OBSERVED, text) for text in (
    "the hot line", "the line that fetches", "the line that waits", "the line that allocates"))


class ObserveTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="jvmc-observe-")
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        self.env.update(XDG_RUNTIME_DIR=folder.name, HOME=folder.name)

    def jvmcluster(self, *arguments):
        done = subprocess.run([JVMCLUSTER, *map(str, arguments)], env=self.env, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def start(self, *arguments):
        """A program in the background; returns when commands find it running."""
        process = subprocess.Popen([JVMCLUSTER, "run", *map(str, arguments)], env=self.env, stdin=subprocess.DEVNULL)

        def end():
            process.terminate()
            process.wait(timeout=PATIENCE)

        self.addCleanup(end)
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            found = json.loads(self.jvmcluster("ps", "--json"))["programs"]
            if found and found[0]["state"] == "running":
                return process
            time.sleep(0.1)
        self.fail("the program does not run")

    def top_line(self, profile, mode, thread=None):
        """The first row of a saved profile that is the program's: the runtime's own are in brackets."""
        rows = json.loads(self.jvmcluster("prof", "--load", profile, "--mode", mode, "--json"))
        self.assertGreater(rows["total"], 0, mode)
        return next(line for line in rows["lines"] if not line["function"].startswith("[")), rows


    def start_deadlock_on_loan(self):
        """Gives the monitors' home, the node to which they are lent, and what `inspect` says of the deadlock there."""
        self.start("--nodes", 2, "--workers", 2, "--balance", "off", ON_LOAN)
        threads = json.loads(self.jvmcluster("threads", "--json"))["threads"]
        home = next(thread["node"] for thread in threads if thread["name"] == "main")
        for thread in threads:
            if thread["name"] in ("plato", "kant") and thread["node"] == home:
                self.jvmcluster("migrate", thread["id"], 1 - home)
        give_up = time.monotonic() + PATIENCE
        while not (found := json.loads(self.jvmcluster("inspect", "--json")))["deadlocks"]:
            self.assertLess(time.monotonic(), give_up, found)
        return home, 1 - home, found


class Profiles(ObserveTest):
    def check_all(self, *options):
        profile = self.path / "p.json"
        self.env["JVMC_NO_LEASES"] = "1"  # else the cell that the reader fetches, which hardly changes, is leased soon
        self.jvmcluster("run", "--nodes", 2, "--workers", 2, "--balance", "off", "--prof", profile, *options, OBSERVED,
                        2500)
        line, rows = self.top_line(profile, "cpu")
        self.assertEqual((line["function"], line["line"]), ("divide", HOT))
        guests = sum(t["value"] for t in rows["threads"] if not t["name"].startswith("["))
        self.assertGreater(max(t["value"] for t in rows["threads"] if t["name"] == "hot"), guests / 3)
        messages = sum(row["self"] for row in rows["lines"] if row["function"] == "[messages]")
        self.assertLess(messages, guests / 2, "workers are not taken for those who carry messages")
        compiler = [row for row in rows["lines"] if row["function"] == "[compiler]"]
        self.assertEqual(bool(compiler), "interp" not in options, rows["lines"])
        line, _ = self.top_line(profile, "lock")
        self.assertEqual((line["function"], line["line"], line["class"]), ("eager", WAITS, "Gate"))
        line, _ = self.top_line(profile, "alloc")
        self.assertEqual((line["function"], line["line"], line["class"]), ("maker", ALLOCATES, "array(i64)"))
        _, rows = self.top_line(profile, "remote")
        self.assertTrue(any((row["function"], row["line"], row.get("class"), row.get("home")) ==
                            ("reader", FETCHES, "Cell", 0) and row["count"] > 20 for row in rows["lines"]), rows)

    def test_a_whole_run_compiled(self):
        self.check_all("--mode", "jit")

    def test_a_whole_run_when_hot_code_is_compiled(self):
        self.check_all("--mode", "auto")

    def test_a_whole_run_interpreted(self):
        self.check_all("--mode", "interp")

    def test_a_thread_is_followed_over_nodes(self):
        profile = self.path / "p.json"
        self.jvmcluster("run", "--nodes", 2, "--workers", 2, "--balance", "rotate", "--prof", profile, OBSERVED, 2500)
        line, rows = self.top_line(profile, "cpu")
        self.assertEqual((line["function"], line["line"]), ("divide", HOT))
        hot = [t for t in rows["threads"] if t["name"] == "hot"]
        self.assertEqual(len(hot), 1)
        self.assertEqual(hot[0]["nodes"], [0, 1])

    def test_formats_of_a_running_programs_profile(self):
        self.start("--nodes", 2, "--workers", 2, OBSERVED, 60000)
        saved = self.path / "cpu.json"
        self.jvmcluster("prof", "observed.ir", "--seconds", 2, "-o", saved)
        self.assertIn(f"observed.ir:{HOT}", self.jvmcluster("prof", "--load", saved))
        self.check_folded(self.jvmcluster("prof", "--load", saved, "--format", "folded"))
        self.check_speedscope(json.loads(self.jvmcluster("prof", "--load", saved, "--format", "speedscope")))
        packed = self.path / "cpu.pb.gz"
        self.jvmcluster("prof", "--load", saved, "-o", packed)
        self.check_pprof(packed)
        same = self.jvmcluster("prof", "--diff", saved, saved)
        self.assertIn("+0.0%", same)
        self.assertNotIn("+1", same)

    def test_tables_of_a_known_profile(self):
        """Against profiles/: JVMC_REWRITE=1 writes the files anew."""
        known = PROFILES / "known.json"
        before = json.loads(known.read_text())
        before["samples"][0].update(count=10, value=100_000_000)  # the hot line took a quarter as long on node 0
        (self.path / "before.json").write_text(json.dumps(before))
        shown = {f"{mode}.txt": self.jvmcluster("prof", "--load", known, "--mode", mode)
                 for mode in ("cpu", "alloc", "lock", "wait", "remote")}
        shown["cpu.folded"] = self.jvmcluster("prof", "--load", known, "--format", "folded")
        shown["diff.txt"] = self.jvmcluster("prof", "--diff", self.path / "before.json", known)
        for name, text in shown.items():
            with self.subTest(name):
                if "JVMC_REWRITE" in os.environ:
                    (PROFILES / name).write_text(text)
                self.assertEqual(text, (PROFILES / name).read_text())

    def check_folded(self, text):
        stacks = [line.rsplit(" ", 1) for line in text.splitlines()]
        self.assertTrue(any(stack.startswith("hot;hot observed.ir:") and stack.endswith(f"divide observed.ir:{HOT}") and
                            int(value) > 0 for stack, value in stacks), text)

    def check_speedscope(self, file):
        """What https://www.speedscope.app/file-format-schema.json asks of a sampled profile."""
        self.assertEqual(file["$schema"], "https://www.speedscope.app/file-format-schema.json")
        frames = file["shared"]["frames"]
        for frame in frames:
            self.assertIsInstance(frame["name"], str)
            self.assertLessEqual(set(frame), {"name", "file", "line", "col"})
        self.assertLess(file["activeProfileIndex"], len(file["profiles"]))
        for profile in file["profiles"]:
            self.assertEqual(set(profile),
                             {"type", "name", "unit", "startValue", "endValue", "samples", "weights"})
            self.assertEqual(profile["type"], "sampled")
            self.assertIn(profile["unit"], ("nanoseconds", "bytes"))
            self.assertEqual(len(profile["samples"]), len(profile["weights"]))
            self.assertEqual(profile["endValue"] - profile["startValue"], sum(profile["weights"]))
            self.assertTrue(all(0 <= index < len(frames) for sample in profile["samples"] for index in sample))
        self.assertIn("hot", [profile["name"] for profile in file["profiles"]])

    def check_pprof(self, path):
        """Read by Google's protobuf with pprof's message descriptions, in the system's Python, which has it."""
        done = subprocess.run(["/usr/bin/python3", pathlib.Path(__file__).with_name("read_pprof.py"), path], text=True,
                              capture_output=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        leaves = json.loads(done.stdout)
        best = max(leaves, key=lambda leaf: leaf["value"])
        self.assertEqual((best["function"], best["line"], best["thread"]), ("divide", HOT, "hot"))
        self.assertTrue(best["file"].endswith("observed.ir"))


class Stuck(ObserveTest):
    def start_stuck(self):
        """Returns what `threads --explain` says once the philosophers stand still."""
        self.start("--nodes", 2, "--workers", 2, "--balance", "off", DEADLOCK)
        give_up = time.monotonic() + PATIENCE
        while True:
            found = json.loads(self.jvmcluster("threads", "--explain", "--json"))
            if found["deadlocks"]:
                return found
            self.assertLess(time.monotonic(), give_up, found)

    def check_deadlock(self, found):
        self.assertEqual(len(found["deadlocks"]), 1)
        circle = {member["name"]: member for member in found["deadlocks"][0]}
        self.assertEqual(set(circle), {"plato", "kant"})
        self.assertEqual({member["node"] for member in circle.values()}, {0, 1})
        never = line_of(DEADLOCK, "never")
        for member in circle.values():
            self.assertIn("Fork", member["why"])
            self.assertIn(f"take_both ({DEADLOCK}:{never})", member["at"])
        threads = {thread["name"]: thread for thread in found["threads"]}
        self.assertEqual([f["function"] for f in threads["plato"]["stack"]], ["take_both", "diner"])
        self.assertEqual(threads["guest"]["waitsFor"]["name"], "plato")
        self.assertEqual(threads["guest"]["wait"]["for"], "join")
        self.assertIn("busy", [frame["function"] for frame in threads["busy"]["stack"]])
        self.assertEqual(found["silentNodes"], 0)

    def check_state(self, nodes):
        """What object space and migration of each node stand at."""
        self.assertEqual([node["node"] for node in nodes], [0, 1])
        for node in nodes:
            self.assertEqual(set(node["objectSpace"]), {"clock", "busyObjects", "writtenObjects"})
            self.assertGreater(node["objectSpace"]["clock"], 0)
            self.assertEqual(node["migration"], {"threadsLeaving": 0, "threadsSent": [], "lastRefusal": "",
                                                 "incomingBlockBytes": 0})

    def test_a_deadlock_of_two_nodes_is_named(self):
        found = self.start_stuck()
        self.check_deadlock(found)
        self.check_state(found["nodes"])
        text = self.jvmcluster("threads", "--explain")
        self.assertIn("deadlock of 2 threads", text)
        self.assertIn("plato on node", text)

    def test_a_stuck_program_explains_itself_when_it_is_inspected(self):
        self.start_stuck()
        found = json.loads(self.jvmcluster("inspect", "--json"))
        self.check_deadlock(found)
        self.check_state(found["nodes"])
        self.assertTrue(all("homed" in node and "out" in node["moves"] for node in found["nodes"]), found["nodes"][0])
        at = f"take_both ({DEADLOCK}:{line_of(DEADLOCK, 'never')})"
        text = self.jvmcluster("inspect")
        self.assertRegex(text, rf"""(?x)\A
            deadlock\ of\ 2\ threads:\n
            (\ \ (plato|kant)\ on\ node\ [01]\ waits\ to\ enter\ the\ monitor\ of\ Fork\ 0x[0-9a-f]+,
            \ which\ (plato|kant)\ has;\ at\ {re.escape(at)}\n){{2}}\n""")
        self.assertRegex(text, r"(?m)^guest \(id \d+\) on node \d: parked, waits for join.*, that is for plato on node \d$")
        self.assertRegex(text, r"(?m)^node 1:\n  objects: \d+ being fetched or flushed, \d+ with writes that are not home")
        self.assertRegex(text, r"(?m)^NODE +OBJECTS +BYTES +CLASS$")

    def test_a_deadlock_over_monitors_on_loan_is_named(self):
        """Owners and queues are at neither thread's home: the node that has borrowed the monitors tells."""
        home, away, found = self.start_deadlock_on_loan()
        self.assertEqual({(member["name"], member["node"]) for member in found["deadlocks"][0]},
                         {("plato", away), ("kant", away)})
        at = f"diner ({ON_LOAN}:{line_of(ON_LOAN, 'never')})"
        for member in found["deadlocks"][0]:
            self.assertRegex(member["why"], "to enter the monitor of Fork 0x")
            self.assertEqual(member["at"], at)
        ids = {thread["name"]: thread["id"] for thread in found["threads"]}
        monitors = [monitor for monitor in found["monitors"] if monitor["class"] == "Fork"]
        self.assertEqual({(monitor["owner"], *monitor["entering"]) for monitor in monitors},
                         {(ids["plato"], ids["kant"]), (ids["kant"], ids["plato"])})
        self.assertEqual([(monitor["home"], monitor["lentTo"]) for monitor in monitors], [(home, away)] * 2)

    def test_tables_keep_their_columns(self):
        """Against tables.txt: JVMC_REWRITE=1 writes it anew."""
        self.start_stuck()
        text = ""
        for words in (["ps"], ["nodes"], ["nodes", "-o", "wide"], ["threads"], ["threads", "-o", "wide"], ["top", "--once"],
                      ["inspect", "-o", "wide"]):
            shown = self.jvmcluster(*words).splitlines()
            heads = [line for line in shown if re.fullmatch(r"[A-Z][A-Z0-9 /-]*", line)]
            text += "".join(re.sub(r" +", " ", line) + "\n" for line in [f"$ jvmcluster {' '.join(words)}", *heads])
        path = pathlib.Path(__file__).parent / "tables.txt"
        if "JVMC_REWRITE" in os.environ:
            path.write_text(text)
        self.assertEqual(text, path.read_text())

    def test_a_node_that_does_not_answer_is_told_of(self):
        self.start_stuck()
        pid = json.loads(self.jvmcluster("nodes", "--json"))["nodes"][1]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            found = json.loads(self.jvmcluster("threads", "--explain", "--json"))
            profile = subprocess.run([JVMCLUSTER, "prof", "--seconds", "0.2"], env=self.env, text=True, capture_output=True,
                                     timeout=PATIENCE)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertIn("1 node did not answer", profile.stderr)
        self.assertEqual(found["silentNodes"], 1)
        self.assertEqual([node["node"] for node in found["nodes"]], [0])
        self.assertNotEqual(found["threads"], [])

    def test_a_program_that_gets_on_has_no_deadlock(self):
        self.start("--nodes", 2, "--workers", 2, OBSERVED, 60000)
        for _ in range(3):
            found = json.loads(self.jvmcluster("threads", "--explain", "--json"))
            self.assertEqual(found["deadlocks"], [])
        stacks = {thread["name"]: [frame["function"] for frame in thread["stack"]] for thread in found["threads"]}
        self.assertEqual((stacks["hot"][-1], stacks["main"]), ("hot", ["main"]))


class Timelines(ObserveTest):
    def test_a_timeline_keeps_the_rules_of_its_format(self):
        self.start("--nodes", 2, "--workers", 2, "--balance", "rotate", OBSERVED, 60000)
        path = self.path / "t.json"
        self.jvmcluster("trace", "--seconds", 2, "-o", path)
        file = json.loads(path.read_text())
        events = file["traceEvents"]
        tracks, arrows, loans = {}, {}, set()
        for event in events:
            self.assertIn(event["ph"], "MXisfbe")
            self.assertIsInstance(event["pid"], int)
            self.assertIsInstance(event["tid"], int)
            if event["ph"] == "M":
                self.assertIn("name", event["args"])
                continue
            self.assertGreaterEqual(event["ts"], 0)
            if event["ph"] == "X":
                self.assertGreaterEqual(event["dur"], 0)
                tracks.setdefault((event["pid"], event["tid"]), []).append(event)
            if event["ph"] in "be":  # a line of its own; they come in turn
                self.assertEqual(event["ph"] == "b", event["id"] not in loans, event)
                loans ^= {event["id"]}
            if event["ph"] in "sf":
                arrows.setdefault(event["id"], []).append(event)
        for track in tracks.values():  # slices of a track nest
            open_ends = []
            for event in sorted(track, key=lambda e: (e["ts"], -e["dur"])):
                while open_ends and open_ends[-1] <= event["ts"] + 1e-3:
                    open_ends.pop()
                end = event["ts"] + event["dur"]
                self.assertTrue(not open_ends or end <= open_ends[-1] + 1e-3, event)
                open_ends.append(end)
        names = {event["name"] for event in events}
        for expected in ("run on 0", "run on 1", "wait: sleep", "wait: monitor", "fetch from 0", "flush", "move from 0 to 1",
                         "capture", "wire", "resume"):
            self.assertIn(expected, names)
        # Waits and fetches say for which object: eager waits for the monitor that holder has.
        gates = {e["args"]["object"] for e in events if e["name"] == "wait: monitor"}
        self.assertEqual(len(gates), 1, gates)
        whole = [pair for pair in arrows.values() if len(pair) == 2]
        self.assertTrue(whole, "no thread was seen to move")
        for leaves, arrives in (sorted(pair, key=lambda e: e["ph"] == "f") for pair in whole):
            self.assertLess(leaves["ts"], arrives["ts"] + 1000)
            self.assertNotEqual(leaves["args"]["node"], arrives["args"]["node"])
        self.assertEqual({clock["offsetNanos"] for clock in file["otherData"]["clocks"].values()}, {0})
        # The balancer's decisions are before the moves that they ask for.
        decisions = [event for event in events if event.get("cat") == "balance"]
        self.assertEqual({event["ph"] for event in decisions}, {"i"})
        self.assertTrue(all(event["args"]["reason"] for event in decisions), decisions)
        hot = next(event["tid"] for event in events if event["name"] == "thread_name" and event["args"]["name"] == "hot")
        asked = [e for e in decisions if e["args"]["thread"] == hot]
        self.assertTrue(asked[0]["name"].startswith("move hot from "), asked)
        moves = [e for e in events if e["tid"] == hot and e["name"].startswith("move from")]
        self.assertTrue(any(move["name"] == asked[0]["name"].replace("hot ", "") and move["ts"] > asked[0]["ts"]
                            for move in moves), (asked, moves))
        # The parts of a move follow each other without gaps.
        for move in moves:
            end = move["ts"] + move["dur"]
            parts = {e["name"]: e for e in events if e["tid"] == hot and e["ph"] == "X" and e["name"] in ("capture", "wire", "resume")
                     and move["ts"] <= e["ts"] <= end}
            self.assertAlmostEqual(parts["capture"]["ts"] + parts["capture"]["dur"], parts["wire"]["ts"], delta=1e-2)
            self.assertAlmostEqual(sum(part["dur"] for part in parts.values()), move["dur"], delta=1e-1)

    def test_a_threshold_leaves_out_what_is_short(self):
        self.start("--nodes", 2, "--workers", 2, "--balance", "off", OBSERVED, 60000)
        path = self.path / "t.json"
        self.jvmcluster("trace", "--seconds", 1, "--min-micros", 2000, "-o", path)
        slices = [e for e in json.loads(path.read_text())["traceEvents"] if e["ph"] == "X"]
        self.assertIn("wait", {e["cat"] for e in slices})
        short = [e for e in slices if e["cat"] in ("wait", "fetch", "flush") and e["dur"] < 2000]
        self.assertEqual(short, [])

    def test_who_runs_or_waits_all_the_time_is_on_it(self):
        """What has begun before the trace, and goes on after it."""
        self.start("--nodes", 2, "--workers", 2, "--balance", "off", OBSERVED, 60000)
        path = self.path / "t.json"
        self.jvmcluster("trace", "--seconds", 1, "-o", path)
        events = json.loads(path.read_text())["traceEvents"]
        names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name" and e["pid"] == 1}
        seconds = {}
        for event in events:
            if event["ph"] == "X" and event["pid"] == 1:
                key = names[event["tid"]], event["cat"]
                seconds[key] = seconds.get(key, 0) + event["dur"] / 1e6
        self.assertGreater(seconds["hot", "run"], 0.5)
        self.assertGreater(seconds["main", "wait"], 0.5)

    def test_monitors_on_loan_are_on_it(self):
        """They are on loan before the trace begins and after it ends."""
        home, away, found = self.start_deadlock_on_loan()
        path = self.path / "t.json"
        self.jvmcluster("trace", "--seconds", 1, "-o", path)
        loans = [e for e in json.loads(path.read_text())["traceEvents"] if e.get("cat") == "loan"]
        forks = {monitor["object"] for monitor in found["monitors"] if monitor["class"] == "Fork"}
        self.assertEqual({(e["ph"], e["pid"], e["args"]["home"], e["args"]["object"])
                          for e in loans if e["ph"] == "b" and e["args"]["object"] in forks},
                         {("b", 1000 + away, home, fork) for fork in forks})

    def test_nodes_that_come_and_go_are_on_it(self):
        self.start("--nodes", 2, "--workers", 2, OBSERVED, 60000)
        path = self.path / "t.json"
        tracing = subprocess.Popen([JVMCLUSTER, "trace", "--seconds", str(PATIENCE), "-o", path], env=self.env)
        self.addCleanup(tracing.kill)
        time.sleep(1)  # it has begun
        node = json.loads(self.jvmcluster("grow", "--json"))["node"]
        self.jvmcluster("drain", node)
        time.sleep(1)
        tracing.send_signal(signal.SIGINT)
        self.assertEqual(tracing.wait(timeout=PATIENCE), 0)
        events = json.loads(path.read_text())["traceEvents"]
        seen = {}
        for event in events:
            if event.get("cat") == "member":
                seen.setdefault(event["pid"], []).append(event["name"])
        for process in (1000, 1001):  # each node says when it has learned of it
            self.assertEqual(seen[process], [f"node {node} joined", f"node {node} is to leave", f"node {node} left"])

    def test_a_node_that_leaves_hands_over_what_nobody_has_asked_it_yet(self):
        self.start("--nodes", 2, "--workers", 2, "--balance", "off", OBSERVED, 60000)
        path = self.path / "t.json"
        tracing = subprocess.Popen([JVMCLUSTER, "trace", "--seconds", str(PATIENCE), "-o", path], env=self.env)
        self.addCleanup(tracing.kill)
        time.sleep(1)  # it has begun
        node = json.loads(self.jvmcluster("grow", "--json"))["node"]
        hot = next(t["id"] for t in json.loads(self.jvmcluster("threads", "--json"))["threads"] if t["name"] == "hot")
        time.sleep(1)  # the newcomer is traced, too
        self.jvmcluster("migrate", hot, node)
        self.jvmcluster("drain", node)
        tracing.send_signal(signal.SIGINT)
        self.assertEqual(tracing.wait(timeout=PATIENCE), 0)
        events = json.loads(path.read_text())["traceEvents"]
        moves = [event["name"] for event in events if event["tid"] == hot and event["name"].startswith("move from")]
        self.assertEqual(len(moves), 2, moves)
        self.assertTrue(moves[1].startswith(f"move from {node} to "), moves)
        # The last that it does is to learn that it may go.
        last = [event["name"] for event in events if event["pid"] == 1000 + node and event.get("cat") == "member"]
        self.assertIn(f"node {node} is to leave", last)

    def test_a_program_that_ends_leaves_its_last_moments(self):
        program = self.start("--nodes", 2, "--workers", 2, "--balance", "off", OBSERVED, 4000)
        path, profile = self.path / "t.json", self.path / "p.json"
        profiling = subprocess.Popen([JVMCLUSTER, "prof", "--mode", "wait", "--seconds", str(PATIENCE), "-o", profile],
                                     env=self.env)
        self.addCleanup(profiling.kill)
        self.jvmcluster("trace", "--seconds", PATIENCE, "-o", path)
        self.assertEqual(program.wait(timeout=PATIENCE), 0)
        self.assertEqual(profiling.wait(timeout=PATIENCE), 0)
        # Main sleeps until it ends the program: that is known only when the sleep is over.
        events = json.loads(path.read_text())["traceEvents"]
        main = next(event["tid"] for event in events if event["name"] == "thread_name" and event["args"]["name"] == "main")
        done = [event["name"] for event in events if (event["pid"], event["tid"]) == (1, main) and event["ph"] == "X"]
        self.assertIn("wait: sleep", done)
        rows = json.loads(self.jvmcluster("prof", "--load", profile, "--mode", "wait", "--json"))
        self.assertIn("main", [thread["name"] for thread in rows["threads"]])


class Top(ObserveTest):
    def test_once_and_as_json(self):
        self.start("--nodes", 2, "--workers", 2, OBSERVED, 60000)
        time.sleep(1)
        text = self.jvmcluster("top", "--once")
        self.assertIn("2 nodes", text)
        self.assertRegex(text, r"(?m)^ *\d+%.* hot$")
        seen = json.loads(self.jvmcluster("top", "--json", "--sort", "cpu"))
        self.assertEqual([node["node"] for node in seen["nodes"]], [0, 1])
        self.assertEqual(seen["threads"][0]["name"], "hot")
        self.assertGreater(seen["threads"][0]["cpuShare"], 0.05)
        remote = json.loads(self.jvmcluster("top", "--json", "--sort", "remote"))["threads"]
        self.assertIn(remote[0]["name"], ("reader", "eager"))
        self.assertGreater(remote[0]["remoteRequestsPerSecond"], 1)
        only = json.loads(self.jvmcluster("top", "--json", "--filter", "hold"))["threads"]
        self.assertEqual([thread["name"] for thread in only], ["holder"])

    def test_on_a_terminal(self):
        self.start("--nodes", 2, "--workers", 2, "--balance", "off", OBSERVED, 60000)
        tmux = ["tmux", "-L", self.path.name, "-f", "/dev/null"]

        def do(*arguments):
            return subprocess.run([*tmux, *arguments], env=self.env, text=True, capture_output=True, timeout=PATIENCE)

        def shows(text, absent=None):
            give_up = time.monotonic() + PATIENCE
            while True:
                screen = do("capture-pane", "-p").stdout
                if text in screen and (absent is None or absent not in screen):
                    return screen
                self.assertLess(time.monotonic(), give_up, f"{text!r} in {screen}")
                time.sleep(0.1)

        started = do("new-session", "-d", "-x", "130", "-y", "40", str(JVMCLUSTER), "top", "--seconds", "0.2")
        self.assertEqual(started.returncode, 0, started.stderr)
        self.addCleanup(do, "kill-server")
        shows("2 nodes")
        do("send-keys", "n")
        shows("by node")
        do("send-keys", "/")
        shows("only threads with:")
        do("send-keys", "hot", "Enter")
        shows("with 'hot'", "reader")
        do("send-keys", "m")
        shows("move hot to node:")
        do("send-keys", "1", "Enter")
        shows("asked to move to node 1")
        give_up = time.monotonic() + PATIENCE
        while True:
            threads = json.loads(self.jvmcluster("threads", "--json"))["threads"]
            if [t["node"] for t in threads if t["name"] == "hot"] == [1]:
                break
            self.assertLess(time.monotonic(), give_up, threads)
        do("send-keys", "q")
        while do("has-session").returncode == 0:
            self.assertLess(time.monotonic(), give_up)
            time.sleep(0.1)


if __name__ == "__main__":
    JVMCLUSTER = sys.argv.pop(1)
    unittest.main(verbosity=2)
