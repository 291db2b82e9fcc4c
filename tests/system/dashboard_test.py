#!/usr/bin/env python3
"""The dashboard's server: what it answers to pages, to Prometheus and to strangers. The page: tests/browser.

    dashboard_test.py JVMCLUSTER [unittest arguments]
"""
import errno
import http.client
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
import urllib.parse
import urllib.request

JVMCLUSTER = None
HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = HERE / "programs" / "busy_hall.ir"
METRICS = HERE.parents[1] / "docs" / "reference" / "metrics.md"
PATIENCE = 60  # seconds; the machine may be busy
THREADS = 8    # of the program


class Program:
    """A program that runs on three nodes, in a folder of its own so that commands find no other."""

    def __init__(self, *options, balance="off", **environment):
        self.folder = tempfile.TemporaryDirectory(prefix="jvmc-dashboard-")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        self.env.update(XDG_RUNTIME_DIR=self.folder.name, XDG_CONFIG_HOME=self.folder.name, HOME=self.folder.name, **environment)
        self.process = self.start("run", "--nodes", "3", "--workers", "2", "--balance", balance, *options, PROGRAM)

    def start(self, *words):
        return subprocess.Popen([JVMCLUSTER, *map(str, words)], env=self.env, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def url(self):
        line = self.process.stderr.readline()
        found = re.fullmatch(r"jvmcluster: dashboard: (http://\S+/\S*)\n", line)
        assert found, line
        assert self.process.stdout.readline() == "started\n"
        return found[1]

    def command(self, *words):
        return subprocess.run([JVMCLUSTER, *map(str, words)], env=self.env, text=True, capture_output=True, timeout=PATIENCE)

    def threads(self):
        return json.loads(self.command("threads", "--json").stdout)["threads"]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE)
        self.folder.cleanup()


def get(url, path, **headers):
    """Status, headers and text of the answer, without following anything."""
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE)
    connection.request(headers.pop("method", "GET"), path, headers={"Host": place.netloc, **headers})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), text


def talk(url, text):
    """Sends bytes, gives all that comes back."""
    place = urllib.parse.urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=PATIENCE) as link:
        answer = b""
        try:
            link.sendall(text.encode())
            link.shutdown(socket.SHUT_WR)
            while some := link.recv(65536):
                answer += some
        except ConnectionError:
            pass  # it has heard enough
        except OSError as error:
            assert error.errno == errno.ENOTCONN, error
    return answer.decode()


class Server(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = Program("--dashboard=127.0.0.1:0")
        cls.addClassCleanup(cls.program.end)
        cls.url = cls.program.url()

    def test_data_are_bounded_and_only_what_is_new(self):
        end = time.monotonic() + PATIENCE
        while True:
            status, headers, text = get(self.url, "/api/state")
            self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
            state = json.loads(text)
            if state["nodes"]:
                break
            self.assertLess(time.monotonic(), end)
        self.assertEqual((state["schemaVersion"], len(state["nodes"]), state["threadCount"]), (1, 3, THREADS))
        time.sleep(2.5)
        newer = json.loads(get(self.url, f"/api/state?since={state['number']}")[2])
        self.assertTrue(0 < len(newer["frames"]) <= 5, newer["frames"])
        self.assertTrue(all(frame["time"] > state["now"] for frame in newer["frames"]))
        self.assertEqual(set(newer["frames"][0]["nodes"]), {"0", "1", "2"})
        self.assertEqual(len(newer["frames"][0]["nodes"]["0"]), len(newer["series"]))

    def test_answers_cannot_be_framed_sniffed_or_scripted_from_elsewhere(self):
        headers = get(self.url, "/")[1]
        self.assertIn("default-src 'none'; script-src 'self'", headers["Content-Security-Policy"])
        self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(headers["Referrer-Policy"], "no-referrer")
        self.assertNotIn("Access-Control-Allow-Origin", headers)

    def test_strangers_get_nothing(self):
        port = urllib.parse.urlsplit(self.url).port
        for host, status in ((f"evil.example:{port}", 403), ("", 403), (f"127.0.0.1.evil.example:{port}", 403),
                             (f"localhost:{port}", 200), ("localhost:8080", 200), (f"[::1]:{port}", 200)):
            with self.subTest(host=host):
                self.assertEqual(get(self.url, "/api/state", Host=host)[0], status)
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            self.assertEqual(get(self.url, "/api/state", method=method)[0], 405)
        self.assertEqual(get(self.url, "/../etc/passwd")[0], 404)
        self.assertEqual(get(self.url, "/api/state?since=18446744073709551616999&since=x")[0], 200)
        head = f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\n"
        for body in ("Content-Length: 5\r\n\r\nhello", "Content-Length: -5\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
            with self.subTest(body=body):
                self.assertNotIn(" 200 ", talk(self.url, head + body).split("\r\n")[0])
        self.assertNotIn(" 200 ", talk(self.url, head + "X: " + "y" * 200000 + "\r\n\r\n").split("\r\n")[0])
        self.assertNotIn(" 200 ", talk(self.url, "\0\1\2\3\r\n\r\n").split("\r\n")[0])
        # Many that connect and say nothing neither use up memory nor keep those out who come after them.
        place = urllib.parse.urlsplit(self.url)
        idle = [socket.create_connection((place.hostname, place.port)) for _ in range(200)]
        for link in idle:
            link.close()
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.assertEqual(get(self.url, "/")[0], 200)
                break
            except (http.client.HTTPException, OSError):
                self.assertLess(time.monotonic(), end, "it has not recovered")

    def test_metrics_are_valid_and_documented(self):
        end = time.monotonic() + PATIENCE
        while "jvmcluster_request_seconds_bucket" not in (text := get(self.url, "/metrics")[2]):
            self.assertLess(time.monotonic(), end, text)
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, timeout=PATIENCE)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.M))
        table = re.findall(r"^\| `(jvmcluster_\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", METRICS.read_text(), re.M)
        self.assertEqual({(name, kind, about) for name, kind, _, about in table},
                         {(name, types[name], helps[name]) for name in types})
        # Labels, too.
        for name, _, labels, _ in table:
            line = re.search(rf"^{name}(?:_bucket)?{{(.*?)}} ", text, re.M)
            self.assertEqual([label.strip("`") for label in labels.split()], re.findall(r"(\w+)=\"", line[1]), name)
        self.assertEqual(len(re.findall(r"^jvmcluster_node_cpu_seconds_total{", text, re.M)), 3)

    def test_a_command_of_its_own_with_a_token(self):
        dashboard = self.program.start("dashboard", "--token", "auto")
        try:
            url = dashboard.stdout.readline().strip()
            base, token = re.fullmatch(r"(http://127\.0\.0\.1:\d+/)\?token=([0-9a-f]{32})", url).groups()
            for path in ("/", "/api/state", "/metrics", "/page.css", "/?token=" + "0" * 32, "/?token="):
                self.assertEqual(get(base, path)[0], 401, path)
            status, headers, _ = get(base, f"/?token={token}")
            self.assertEqual((status, headers["Location"]), (303, "/"))
            self.assertRegex(headers["Set-Cookie"], "HttpOnly; SameSite=Strict")
            cookie = headers["Set-Cookie"].split(";")[0]
            self.assertEqual(get(base, "/api/state", Cookie=f"a=b; {cookie}")[0], 200)
            self.assertEqual(get(base, "/api/state", Cookie=cookie[:-1])[0], 401)
            self.assertEqual(get(base, "/metrics", Authorization=f"Bearer {token}")[0], 200)
            self.assertEqual(get(base, "/metrics", Authorization=f"Bearer {token}0")[0], 401)
        finally:
            dashboard.send_signal(signal.SIGINT)
            _, errors = dashboard.communicate(timeout=PATIENCE)
        self.assertEqual((dashboard.returncode, errors), (0, ""))

    def test_an_agent_tells_of_its_own_nodes(self):
        cluster = Program()  # for the folder only
        cluster.process.send_signal(signal.SIGTERM)
        cluster.process.communicate(timeout=PATIENCE)
        agents, run = [], None
        try:
            places = []
            for _ in range(2):
                join = ["--join", places[0][0]] if places else []
                agent = cluster.start("node", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", *join)
                agents.append(agent)
                metrics = re.fullmatch(r"jvmcluster: metrics: (\S+)\n", agent.stderr.readline())[1]
                while not (here := re.search(r"listening on (\S+)", agent.stderr.readline())):
                    pass
                places.append((here[1], metrics))
            self.assertEqual(get(places[0][1], "/metrics")[2], "")
            run = cluster.start("run", "--cluster", places[0][0], PROGRAM)
            self.assertEqual(run.stdout.readline(), "started\n")
            nodes = [set(re.findall(r'^jvmcluster_node_workers{program="\w+",node="(\d+)"}', get(metrics, "/metrics")[2], re.M))
                     for _, metrics in places]
            self.assertEqual(nodes, [{"0"}, {"1"}])
            self.assertEqual(get(places[0][1], "/")[0], 404)
        finally:
            for process in [run, *agents]:
                if process:
                    process.send_signal(signal.SIGINT)
                    process.communicate(timeout=PATIENCE)
            cluster.folder.cleanup()

    def test_it_outlives_the_program_and_says_so(self):
        program = Program()
        try:
            self.assertEqual(program.process.stdout.readline(), "started\n")
            dashboard = program.start("dashboard", "busy_hall.ir", "--listen", "127.0.0.1:0")
            base = dashboard.stdout.readline().strip()
            end = time.monotonic() + PATIENCE
            while not json.loads(get(base, "/api/state")[2])["nodes"]:
                self.assertLess(time.monotonic(), end)
            self.assertEqual(program.command("stop").returncode, 0)
            while "ended" not in (state := json.loads(get(base, "/api/state")[2]))["problem"]:
                self.assertLess(time.monotonic(), end, state["problem"])
            self.assertEqual(len(state["nodes"]), 3)  # what was known last
            self.assertEqual(get(base, "/metrics")[2], "")
            dashboard.send_signal(signal.SIGTERM)
            self.assertEqual(dashboard.wait(timeout=PATIENCE), 0)
            dashboard.communicate()
        finally:
            program.end()

    def test_a_port_in_use_and_a_bad_token_are_said(self):
        place = urllib.parse.urlsplit(self.url).netloc
        taken = self.program.command("dashboard", "--listen", place)
        self.assertEqual(taken.returncode, 1)
        self.assertIn("in use by another process", taken.stderr)
        short = self.program.command("dashboard", "--token", "short")
        self.assertEqual(short.returncode, 2)
        self.assertIn("16 to 128 letters", short.stderr)


if __name__ == "__main__":
    JVMCLUSTER = sys.argv.pop(1)
    unittest.main()
