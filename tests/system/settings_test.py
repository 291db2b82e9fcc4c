#!/usr/bin/env python3
"""Settings of jvmcluster (file, environment, command line) and its doctor.

    settings_test.py JVMCLUSTER [unittest arguments]
"""
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

JVMCLUSTER = None


class ToolTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="jvmc-settings-")
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        (self.path / "run").mkdir(mode=0o700)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        self.env.update(XDG_RUNTIME_DIR=str(self.path / "run"), XDG_CONFIG_HOME=str(self.path / "config"), HOME=str(self.path))

    def tool(self, *words, code=0, **options):
        result = subprocess.run([str(JVMCLUSTER), *map(str, words)], env=self.env, cwd=self.path, capture_output=True,
                                text=True, errors="replace", timeout=60, **options)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result

    def write(self, text, name="config/jvmcluster/config.toml"):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


class Settings(ToolTest):
    def settings(self, *words):
        rows = json.loads(self.tool(*words, "config", "--json").stdout)["settings"]
        return {f"{r['command']}.{r['key']}".strip("."): (r["value"], r["from"]) for r in rows}

    def test_tokens_are_not_shown(self):
        token = "0123456789abcdefghij"
        path = self.write(f'[dashboard]\ntoken = "{token}"\n[run]\ndashboard-token = "auto"\n')
        self.assertEqual(self.settings()["dashboard.token"], ("(hidden)", f"{path}:2"))
        self.assertEqual(self.settings()["run.dashboard-token"], ("auto", f"{path}:4"))
        self.env["JVMC_TOKEN"] = token
        for words in (["config"], ["config", "--json"]):
            self.assertNotIn(token, self.tool(*words).stdout)

    def test_flag_beats_environment_beats_file_beats_default(self):
        self.assertEqual(self.settings()["mode"] if "mode" in self.settings() else self.settings()["run.mode"], ("auto", "default"))
        path = self.write('color = "never"\n[run]\nmode = "interp"\nnodes = 3\n')
        self.assertEqual(self.settings()["run.mode"], ("interp", f"{path}:3"))
        self.assertEqual(self.settings()["run.nodes"], ("3", f"{path}:4"))
        self.assertEqual(self.settings()["color"], ("never", f"{path}:1"))
        self.env["JVMC_MODE"], self.env["JVMC_COLOR"] = "jit", "auto"
        self.assertEqual(self.settings()["run.mode"], ("jit", "JVMC_MODE"))
        self.assertEqual(self.settings("--color", "always")["color"], ("always", "command line"))
        self.assertEqual(self.settings()["run.nodes"], ("3", f"{path}:4"))
        table = self.tool("config").stdout.splitlines()
        self.assertEqual(table[0].split(), ["SETTING", "VALUE", "FROM"])
        self.assertIn(["run.nodes", "3", f"{path}:4"], [line.split() for line in table])

    def test_settings_reach_the_command(self):
        program = self.write("func @main() -> i32 {\n  return 7\n}\n", "seven.ir")
        self.write("[run]\nstats = 'stats.json'\nworkers = 2\nelastic = true\nnodes = 2\n")
        self.tool("run", program, code=7)
        stats = json.loads((self.path / "stats.json").read_text())
        self.assertEqual(len(stats["nodes"]), 2)
        self.tool("run", "--nodes", "1", program, code=7)
        self.assertEqual(len(json.loads((self.path / "stats.json").read_text())["nodes"]), 1)
        self.env["JVMC_NODES"] = "3"
        self.tool("run", program, code=7)
        self.assertEqual(len(json.loads((self.path / "stats.json").read_text())["nodes"]), 3)

    def test_a_key_of_a_table_counts_more_than_one_for_all_commands(self):
        path = self.write('cluster = "127.0.0.1:1"\n[ps]\ncluster = "127.0.0.1:2"\n')
        settings = self.settings()
        self.assertEqual(settings["ps.cluster"], ("127.0.0.1:2", f"{path}:3"))
        self.assertEqual(settings["run.cluster"], ("127.0.0.1:1", f"{path}:1"))

    def test_what_is_required_may_stand_in_the_file(self):
        self.assertIn("--listen is required", self.tool("node", code=2).stderr)
        self.assertIn("--listen TEXT REQUIRED", re.sub(" +", " ", self.tool("node", "--help").stdout))
        self.write('[node]\nlisten = "127.0.0.1:0"\njoin = "127.0.0.1:1"\n')
        self.assertNotIn("required", self.tool("node", code=3).stderr)  # there is nobody to join

    def test_another_file_can_be_named_and_must_be_there(self):
        self.write('[run]\nnodes = 2\n')
        other = self.write('[run]\nnodes = 5\n', "other.toml")
        self.assertEqual(self.settings("--config", other)["run.nodes"][0], "5")
        self.env["JVMC_CONFIG"] = str(other)
        self.assertEqual(self.settings()["run.nodes"][0], "5")
        missing = self.tool("--config", "nowhere.toml", "ps", code=2).stderr
        self.assertIn("nowhere.toml", missing)
        self.assertIn("No such file", missing)
        self.assertIn("nowhere.toml", self.tool("run", "--config", "nowhere.toml", "x.ir", code=2).stderr)

    def test_mistakes_are_shown_with_place_and_caret(self):
        path = self.write('# settings\n[run]\nnods = 3\nheap = "1K"\n')
        said = self.tool("ps", code=2).stderr
        self.assertIn(f"{path}:3:1\n", said)
        self.assertIn("error: 'run' has no setting 'nods'", said)
        self.assertIn("3 | nods = 3\n  | ^^^^\n", said)
        self.assertIn("did you mean 'nodes'?", said)
        self.assertIn(f"{path}:4:8\n", said)
        self.assertIn("2 errors", said)
        for text, place, words in (("[rn]\nnodes = 3\n", "1:2", "did you mean '[run]'?"),
                                   ("colour = 1\n", "1:1", "did you mean 'color'?"),
                                   ("[run]\nnodes = 'three'\n", "2:9", "three"),
                                   ("[run]\nnodes = 10000\n", "2:9", "10000"),
                                   ("[run]\nnodes = \n", "2:", "value"),
                                   ("[run]\nnodes = [1]\n", "2:1", "a list of strings"),
                                   ("[run]\nmode = \"jit\"\nmode = \"auto\"\n", "3:", "mode"),
                                   ("[run.more]\nx = 1\n", "1:", "more")):
            path.write_text(text)
            said = self.tool("ps", code=2).stderr
            self.assertIn(f"{path}:{place}", said)
            self.assertIn(words, said)

    def test_help_and_completion_work_with_a_wrong_file(self):
        self.write("[[[")
        self.tool("help")
        self.tool("completion", "bash")
        self.tool("run", "--help")
        self.tool("ps", code=2)

    def test_no_file_can_harm_the_parser(self):
        for text in ("\x00", "a" * 100000, "[" * 5000, "a = " + "[" * 5000, "é = 1\n", "'", "x = 1e999999\n", "\xff\xfe", "="):
            path = self.write("")
            path.write_bytes(text.encode("latin-1"))
            self.tool("ps", code=2)


class Doctor(ToolTest):
    def findings(self, *words, code=0, **options):
        out = json.loads(self.tool("doctor", "--json", *words, code=code, **options).stdout)
        self.assertEqual(out["healthy"], code == 0)
        for finding in out["findings"]:
            self.assertEqual(bool(finding["remedy"]), finding["health"] != "ok", finding)
        return {f["check"]: f for f in out["findings"]}

    def limited(self, which, value):
        return {"preexec_fn": lambda: resource.setrlimit(which, (value, value))}

    def test_a_healthy_machine(self):
        findings = self.findings()
        self.assertEqual({f["check"] for f in findings.values() if f["health"] == "failure"}, set())
        self.assertLessEqual({"programs", "open-files", "address-space", "memory-maps", "overcommit", "memory",
                              "runtime-folder", "huge-pages", "perf", "debugger"}, set(findings))
        self.assertIn("ok       address-space", self.tool("doctor").stdout)
        self.assertEqual(os.listdir(self.path / "run/jvmcluster"), [])

    def test_too_little_address_space(self):
        findings = self.findings(code=1, **self.limited(resource.RLIMIT_AS, 8 << 30))
        self.assertEqual(findings["address-space"]["health"], "failure")
        self.assertIn("ulimit -v unlimited", findings["address-space"]["remedy"])

    def test_too_few_files(self):
        self.assertEqual(self.findings(code=1, **self.limited(resource.RLIMIT_NOFILE, 100))["open-files"]["health"], "failure")
        self.assertEqual(self.findings(**self.limited(resource.RLIMIT_NOFILE, 512))["open-files"]["health"], "warning")

    def test_a_taken_port(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.assertEqual(self.findings("--port", address, code=1)["port"]["health"], "failure")
            text = self.tool("doctor", "--port", address, code=1).stdout
            self.assertRegex(text, r"failure +port .*\n +mend: .*ss -ltnp")
        self.assertEqual(self.findings("--port", address)["port"]["health"], "ok")
        self.assertEqual(self.findings("--port", "nonsense", code=1)["port"]["health"], "failure")

    def test_a_runtime_folder_that_cannot_be_made(self):
        (self.path / "run/jvmcluster").write_text("")
        self.assertEqual(self.findings(code=1)["runtime-folder"]["health"], "failure")

    def start_agent(self, *words):
        agent = subprocess.Popen([str(JVMCLUSTER), "node", "--listen", "127.0.0.1:0", *words], env=self.env, cwd=self.path,
                                 stderr=subprocess.PIPE, text=True)

        def end():
            agent.send_signal(signal.SIGCONT)
            agent.send_signal(signal.SIGINT)
            agent.communicate(timeout=60)

        self.addCleanup(end)
        for line in agent.stderr:
            if found := [a for a in re.findall(r"127\.0\.0\.1:\d+", line) if a not in words]:
                return agent, found[0]
        self.fail("the agent does not start")

    def test_agents_of_a_cluster(self):
        _, first = self.start_agent()
        second, address = self.start_agent("--join", first)
        end = time.monotonic() + 60
        while len(json.loads(self.tool("nodes", "--cluster", first, "--json").stdout)["agents"]) < 2:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        out = json.loads(self.tool("doctor", "--json", "--cluster", first).stdout)["findings"]
        for check in ("version", "clock"):
            found = [f for f in out if f["check"] == check]
            self.assertEqual([f["health"] for f in found], ["ok", "ok"], found)
            self.assertTrue(any(address in f["found"] for f in found))
        second.send_signal(signal.SIGSTOP)
        self.assertIn(f"agent {address} does not answer", self.tool("doctor", "--cluster", first, code=1).stdout)
        self.assertEqual(self.findings("--cluster", "127.0.0.1:1", code=1)["agent"]["health"], "failure")


if __name__ == "__main__":
    JVMCLUSTER = pathlib.Path(sys.argv[1]).resolve()
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:])
