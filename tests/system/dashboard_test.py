#!/usr/bin/env python3
"""The dashboard as users see it: a running program in a browser, and strangers at its port.

    dashboard_test.py JVMCLUSTER PICTURES [unittest arguments]

PICTURES: a folder for pictures of the page, to be looked at. Chromium and promtool must be installed.
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

from browser import Browser

JVMCLUSTER = None
PICTURES = None
HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = HERE / "programs" / "busy_hall.ir"
METRICS = HERE.parents[1] / "docs" / "reference" / "metrics.md"
PATIENCE = 60  # seconds; the machine may be busy
THREADS = 8    # of the program

# The least contrast of text with what is behind it, over all that is visible now; and where it is.
CONTRAST = """(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const part = (c) => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
    return .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const back = parse(getComputedStyle(element).backgroundColor);
      if (back.length === 3 || back[3] > .9) return back;
    }
    return [255, 255, 255];
  };
  let least = [99, ''];
  for (const element of document.querySelectorAll('body *')) {
    const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const style = getComputedStyle(element);
    if (!words || !element.getClientRects().length || element.closest('.unseen, .skip') || element.closest('svg')) continue;
    const [a, b] = [light(parse(style.color)), light(behind(element))].sort((x, y) => y - x);
    const contrast = (a + .05) / (b + .05);
    if (contrast < least[0]) least = [contrast, `${element.tagName}.${element.className} '${element.textContent.slice(0, 30)}'`];
  }
  return least;
})()"""
# How many pixels of each chart are not blank.
PAINTED = """[...document.querySelectorAll('.chart canvas')].map((canvas) => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, i) => i % 4 === 3 && value > 0).length;
})"""


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


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = Program("--dashboard")
        cls.addClassCleanup(cls.program.end)
        cls.url = cls.program.url()
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.__exit__)

    def page(self, width, height, **options):
        page = self.browser.page(width, height, **options)
        page.open(self.url)
        page.until(f"document.querySelectorAll('.node').length == 3 && document.querySelectorAll('.thread').length == {THREADS}")
        page.until("document.querySelector('.chart canvas')")
        return page

    def test_nodes_threads_charts_and_moves(self):
        page = self.page(1280, 900)
        # Each thread is where the command says.
        self.assertEqual({t["id"]: t["node"] for t in self.program.threads()}, {
            int(t): int(n) for t, n in page.value("[...document.querySelectorAll('.thread')].map((t) => [t.dataset.thread, t.dataset.node])")})
        self.assertEqual(page.value("document.querySelectorAll('.threads tbody tr').length"), THREADS)
        # Names come from the program: they are text, whatever is in them.
        self.assertTrue(page.value("[...document.querySelectorAll('.threads .name')].some((n) => n.textContent.includes('clerk <b>&'))"))
        self.assertEqual(page.value("document.querySelectorAll('b').length"), 0)

        page.until(f"{PAINTED}.length == 6")
        page.until("document.querySelector('.chart output').textContent.endsWith('cores')")
        before = page.value(PAINTED)
        self.assertTrue(all(pixels > 500 for pixels in before), before)

        thread = next(t for t in self.program.threads() if t["name"] == "clock-1")
        target = (thread["node"] + 1) % 3
        place = f"document.querySelector('.thread[data-thread=\"{thread['id']}\"]')"
        old = page.value(f"{place}.getBoundingClientRect().x")
        self.assertEqual(self.program.command("migrate", thread["id"], target).returncode, 0)
        page.until(f"{place}.dataset.node == {target} && {place}.classList.contains('moved')")
        page.picture(PICTURES / "move.png", whole=False)
        page.until("document.querySelector('#events .badge.move')")
        self.assertIn(f"clock-1 ({thread['id']}) moved from node {thread['node']} to node {target}",
                      page.value("document.querySelector('#events').textContent"))
        time.sleep(1)  # the dot is on its way
        self.assertNotEqual(page.value(f"{place}.getBoundingClientRect().x"), old)
        page.picture(PICTURES / "desktop-light.png")
        page.dark(True)
        time.sleep(0.5)
        page.picture(PICTURES / "desktop-dark.png")
        self.assertEqual(page.complaints, [])

    def test_a_phone_needs_no_sideways_scrolling(self):
        for dark in (False, True):
            page = self.page(360, 780, phone=True, dark=dark)
            self.assertLessEqual(page.value("document.documentElement.scrollWidth"), 360)
            self.assertLessEqual(page.value("Math.max(...[...document.querySelectorAll('.node, .card, .chart')].map("
                                            "(e) => e.getBoundingClientRect().right))"), 360)
            page.picture(PICTURES / f"phone-{'dark' if dark else 'light'}.png")
            page.picture(PICTURES / f"phone-{'dark' if dark else 'light'}-top.png", whole=False)
            self.assertEqual(page.complaints, [])

    def test_light_and_dark_can_be_read(self):
        page = self.page(1280, 900)
        back = "getComputedStyle(document.body).backgroundColor"
        light = page.value(back)
        for dark in (False, True):
            page.dark(dark)
            page.until(f"({back} == '{light}') != {json.dumps(dark)}")
            contrast, where = page.value(CONTRAST)
            self.assertGreaterEqual(contrast, 4.5, where)
        # The button overrules the system, and that is remembered.
        page.value("localStorage.clear()")
        page.value("document.getElementById('theme').click()")
        self.assertEqual(page.value("document.getElementById('theme').textContent"), "Theme: light")
        self.assertEqual(page.value(back), light)
        page.open(self.url)
        self.assertEqual(page.value(back), light)
        page.value("localStorage.clear()")

    def test_the_keyboard_reaches_threads_and_sorts_the_table(self):
        page = self.page(1280, 900)
        page.value("document.getElementById('map').focus()")
        page.key("ArrowRight")
        page.until("!document.getElementById('tip').hidden && document.querySelector('.thread.chosen')")
        first = page.value("document.querySelector('.thread.chosen').dataset.thread")
        page.key("ArrowRight")
        page.until(f"document.querySelector('.thread.chosen').dataset.thread != '{first}'")
        page.key("Enter")
        page.until("document.querySelector('.threads tr.chosen')")
        page.key("Escape")
        page.until("document.getElementById('tip').hidden")
        names = "[...document.querySelectorAll('.threads tbody tr .name span')].map((n) => n.textContent)"
        page.value("document.querySelector('.threads th button').click()")
        self.assertEqual(page.value(names), sorted(page.value(names)))
        page.value("(() => { const f = document.getElementById('filter'); f.value = 'mill'; f.dispatchEvent(new Event('input')); })()")
        self.assertEqual(page.value(names), [f"mill-{i}" for i in range(1, 5)])
        unnamed = page.value("[...document.querySelectorAll('button, input, [tabindex], [role=img]')].filter((e) => !(e.textContent.trim() "
                             "|| e.ariaLabel || e.getAttribute('aria-labelledby'))).map((e) => e.outerHTML)")
        self.assertEqual(unnamed, [])

    def test_a_flame_graph_grows_while_it_is_switched_on(self):
        page = self.page(1280, 900)
        self.assertEqual(page.value("document.querySelectorAll('.call').length"), 0)
        page.value("document.getElementById('profile').click()")
        page.until("[...document.querySelectorAll('.call')].some((call) => call.textContent.includes('grind'))")
        page.until("[...document.querySelectorAll('.call')].some((call) => call.textContent.includes('mill'))")
        page.value("[...document.querySelectorAll('.call')].find((call) => call.textContent.includes('grind')).click()")
        page.until("[...document.querySelectorAll('.call')].find((call) => call.textContent.includes('grind')).clientWidth"
                   " > document.getElementById('flame').clientWidth - 5")
        for dark in (False, True):
            page.dark(dark)
            contrast, where = page.value(CONTRAST)
            self.assertGreaterEqual(contrast, 4.5, where)
        page.picture(PICTURES / "flame.png")
        page.value("document.getElementById('profile').click()")
        self.assertEqual(page.complaints, [])

    def test_the_balancers_decisions_have_reasons(self):
        program = Program("--dashboard", balance="rotate")
        self.addCleanup(program.end)
        page = self.browser.page(360, 780, phone=True)
        page.open(program.url())
        page.until("document.querySelector('#events .badge.balance')")
        page.value("document.querySelector('#kinds [data-kinds=balance]').click()")
        self.assertRegex(page.value("document.querySelector('#events .text').textContent"),
                         r"^\S.* from node \d to node \d: [a-z].*; gain expected \d.*; [a-z -]+$")
        self.assertEqual(page.value("document.querySelectorAll('#events .badge:not(.balance)').length"), 0)
        self.assertLessEqual(page.value("document.documentElement.scrollWidth"), 360)
        page.value("document.getElementById('profile').click()")
        page.until("[...document.querySelectorAll('.call')].some((call) => call.textContent.includes('mill'))")
        page.picture(PICTURES / "phone-balancer.png")
        self.assertEqual(page.complaints, [])

    def test_nodes_come_and_go(self):
        page = self.page(1280, 900)
        grown = json.loads(self.program.command("grow", "--json").stdout)["node"]
        page.until(f"document.querySelector('.node[data-node=\"{grown}\"]') && document.querySelector('.badge.join')")
        self.assertEqual(self.program.command("drain", grown).returncode, 0)
        page.until("document.querySelectorAll('.node').length == 3 && document.querySelector('.badge.leave')")
        page.value("document.querySelector('#kinds [data-kinds^=join]').click()")
        self.assertRegex(page.value("document.getElementById('events').textContent"), f"node {grown} left.*node {grown} joined")
        self.assertEqual(page.complaints, [])


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
    JVMCLUSTER, PICTURES = sys.argv[1], pathlib.Path(sys.argv[2])
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
