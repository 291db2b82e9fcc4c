#!/usr/bin/env python3
"""Agents on several machines: network namespaces, joined by a bridge, or by a network that delays and loses packets.
Usage: network_test.py JVMCLUSTER [unittest arguments]

Each host has an address that is not loopback, so everything between hosts is encrypted. Needs to be root, or a machine
that lets users make namespaces.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

JVMCLUSTER = None
HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"
PROGRAMS = HERE / "programs"
PATIENCE = 120 * float(os.environ.get("JVMC_TEST_PATIENCE", "1"))  # seconds; the machine may be busy
TEXT = "/usr/share/common-licenses/LGPL-3"  # of base-files
SCENE = EXAMPLES / "data" / "spheres.scene"
CITIES = EXAMPLES / "data" / "cities.txt"
HOSTS = 4
INSIDE = "JVMC_NETWORK_TEST_INSIDE"


def sh(*words, check=True):
    return subprocess.run([str(word) for word in words], check=check, text=True, capture_output=True)


class Host:
    """A network namespace with one address, and a home folder."""

    def __init__(self, number, root):
        self.number, self.name, self.address = number, f"jvmc{number}", f"10.77.0.{number + 1}"
        self.home = pathlib.Path(root) / self.name
        self.log = self.home / "log"  # of its agent
        (self.home / "run").mkdir(parents=True)
        sh("ip", "netns", "add", self.name)
        self.inside("ip", "link", "set", "lo", "up")

    def plug_in(self):
        """Into the bridge."""
        sh("ip", "link", "add", f"v{self.number}", "type", "veth", "peer", "name", "eth0", "netns", self.name)
        sh("ip", "link", "set", f"v{self.number}", "master", "bridge", "up")

    def configure(self):
        self.inside("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")

    def inside(self, *words):
        return sh("ip", "netns", "exec", self.name, *words)

    def env(self):
        env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        return env | {"XDG_RUNTIME_DIR": str(self.home / "run"), "XDG_CONFIG_HOME": str(self.home), "HOME": str(self.home)}

    def words(self, *words):
        return ["ip", "netns", "exec", self.name, JVMCLUSTER, *map(str, words)]

    def command(self, *words):
        return subprocess.run(self.words(*words), env=self.env(), text=True, capture_output=True, timeout=PATIENCE)

    def start(self, *words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE):
        return subprocess.Popen(self.words(*words), env=self.env(), text=True, stdin=stdin, stdout=subprocess.PIPE,
                                stderr=stderr)


class Network(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="jvmc-network-")
        self.addCleanup(self.folder.cleanup)
        self.hosts = []
        for number in range(HOSTS):
            self.hosts.append(Host(number, self.folder.name))
            self.addCleanup(sh, "ip", "netns", "del", self.hosts[-1].name)
        self.join_hosts()
        for host in self.hosts:
            host.configure()
        self.make_certificates()

    def join_hosts(self):
        sh("ip", "link", "add", "bridge", "type", "bridge")
        self.addCleanup(sh, "ip", "link", "del", "bridge")
        sh("ip", "link", "set", "bridge", "up")
        for host in self.hosts:
            host.plug_in()
            self.addCleanup(sh, "ip", "link", "del", f"v{host.number}")  # namespaces go later than they are deleted

    def make_certificates(self):
        first = self.hosts[0]
        for host in self.hosts:
            where = [] if host is first else ["--out", host.home / "jvmcluster"]
            made = first.command("keygen", "--name", host.name, *where)
            self.assertEqual(made.returncode, 0, made.stderr)

    def agent(self, host, join=None):
        """Its log is a file: an agent whose log nobody reads stands still when the pipe is full."""
        with open(host.log, "w") as log:
            agent = host.start("node", "--listen", f"{host.address}:7000", "--drain", 60,
                               *(["--join", f"{join.address}:7000"] if join else []), stderr=log)
        self.addCleanup(agent.stdout.close)
        self.addCleanup(agent.wait)
        self.addCleanup(agent.kill)
        while "listening on " not in host.log.read_text():
            self.assertIsNone(agent.poll(), f"the agent on {host.name} has ended: {host.log.read_text()}")
            time.sleep(0.01)
        return agent


class Certificates(Network):
    def test_who_has_no_certificate_of_the_cluster_stays_outside(self):
        first, second, third, fourth = self.hosts
        agent = self.agent(first)
        at = f"{first.address}:7000"
        self.assertEqual(second.command("nodes", "--cluster", at).returncode, 0)

        for name in ("identity.key", "identity.crt", "ca.crt"):
            (third.home / "jvmcluster" / name).unlink()
        refused = third.command("nodes", "--cluster", at)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("keygen", refused.stderr)
        refused = third.command("node", "--listen", f"{third.address}:7000")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("there is no certificate", refused.stderr)

        # The right key, but a certificate of another cluster.
        (fourth.home / "jvmcluster" / "ca.crt").unlink()
        self.assertEqual(fourth.command("keygen", "--name", "mallory").returncode, 0)
        refused = fourth.command("nodes", "--cluster", at)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("certificate", refused.stderr)

        # A user may look, but not be an agent.
        made = first.command("keygen", "--user", "--name", "ann", "--out", third.home / "jvmcluster")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(third.command("nodes", "--cluster", at).returncode, 0)
        refused = third.command("node", "--listen", f"{third.address}:7000", "--join", at)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("'ann'", refused.stderr)

        # What does not encrypt is told apart.
        stranger = ["ip", "netns", "exec", second.name, sys.executable, "-c",
                    f"import socket; s = socket.create_connection(('{first.address}', 7000)); s.sendall(b'GET / HTTP/1.0');"
                    "s.settimeout(10); s.recv(100)"]
        subprocess.run(stranger, capture_output=True, timeout=PATIENCE)
        agent.terminate()
        self.assertEqual(agent.wait(PATIENCE), 0)
        log = first.log.read_text()
        self.assertIn("'jvmc1' has connected as command", log)
        self.assertIn(f"refused a connection from {fourth.address}:", log)
        self.assertIn("does not encrypt", log)

    def test_the_wildcard_is_refused(self):
        refused = self.hosts[0].command("node", "--listen", "0.0.0.0:7000")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("name the address", refused.stderr)


class Programs(Network):
    def expected(self, *arguments):
        done = self.hosts[0].command("run", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def cluster(self):
        agents = [self.agent(self.hosts[0])]
        for host in self.hosts[1:3]:
            agents.append(self.agent(host, self.hosts[0]))
        return agents

    def await_nodes(self, host, wanted, program=None, process=None):
        """Until the (named) program has these nodes, or `process`, which runs it, has ended: machines are of any speed."""
        end = time.monotonic() + PATIENCE
        while True:
            done = host.command("nodes", *([program] if program else []), "--cluster", f"{host.address}:7000", "--json")
            found = [node["node"] for node in json.loads(done.stdout)["nodes"]] if done.returncode == 0 else []
            if found == wanted or (process and process.poll() is not None):
                return
            self.assertLess(time.monotonic(), end, f"{found} instead of {wanted}: {done.stderr}")
            time.sleep(0.05)

    def test_programs_print_the_same(self):
        self.cluster()
        picture = pathlib.Path(self.folder.name) / "picture.ppm"
        for arguments in (EXAMPLES / "nbody.ir", 100, 4), (EXAMPLES / "tsp.ir", CITIES, 9, 4), \
                (EXAMPLES / "wordcount.ir", 4, TEXT), (EXAMPLES / "raytrace.ir", SCENE, picture, 60, 40, 4, 1):
            with self.subTest(arguments=arguments):
                expected = self.expected(*arguments), picture.exists() and picture.read_bytes()
                picture.unlink(missing_ok=True)
                done = self.hosts[3].command("run", "--cluster", f"{self.hosts[0].address}:7000", "--balance", "rotate",
                                             *arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual((done.stdout, picture.exists() and picture.read_bytes()), expected)

    def test_machines_come_and_go(self):
        agents = self.cluster()
        program = self.hosts[3].start("run", "--cluster", f"{self.hosts[0].address}:7000", "--balance", "rotate",
                                      PROGRAMS / "forever.ir")
        self.addCleanup(program.communicate)
        self.addCleanup(program.kill)
        self.await_nodes(self.hosts[0], [0, 1, 2])
        agents.append(self.agent(self.hosts[3], self.hosts[1]))
        self.await_nodes(self.hosts[0], [0, 1, 2, 3])
        agents[0].terminate()  # the one that began the cluster, with the program's first node
        self.assertEqual(agents[0].wait(PATIENCE), 0, "its node did not get empty")
        self.await_nodes(self.hosts[1], [1, 2, 3])
        self.assertIsNone(program.poll(), "the program is over")

    def test_a_killed_machine_ends_the_program_with_words(self):
        agents = self.cluster()
        program = self.hosts[3].start("run", "--cluster", f"{self.hosts[0].address}:7000", PROGRAMS / "forever.ir")
        self.addCleanup(program.kill)
        self.await_nodes(self.hosts[0], [0, 1, 2])
        agents[2].kill()
        _, err = program.communicate(timeout=PATIENCE)
        self.assertNotEqual(program.returncode, 0)
        self.assertIn("node 2", err)


class SlowNetwork(Programs):
    """The same with 1 ms of delay each way, and one packet of a hundred lost."""

    def join_hosts(self):
        self.network = network = subprocess.Popen([sys.executable, HERE / "slow_network.py", "1", "0.01", "1",
                                    *(f"{host.name}={host.address}" for host in self.hosts)],
                                   text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(network.stdout.close)
        self.addCleanup(network.stdin.close)
        self.addCleanup(network.wait)
        self.addCleanup(network.kill)
        self.assertEqual(network.stdout.readline(), "ready\n")

    def tell(self, *words):
        print(*words, file=self.network.stdin, flush=True)

    def test_a_machine_that_is_cut_off_stands_still_and_goes_on_when_it_is_back(self):
        agents = self.cluster()
        program = self.hosts[3].start("run", "--cluster", f"{self.hosts[0].address}:7000", "--balance", "rotate",
                                      PROGRAMS / "counts_until_told.ir", stdin=subprocess.PIPE)
        self.addCleanup(program.kill)
        self.await_nodes(self.hosts[0], [0, 1, 2])
        self.tell("cut", self.hosts[2].name)
        time.sleep(8)  # longer than a lease, shorter than the silence of somebody who is lost
        self.assertIsNone(program.poll(), "the program is over")
        self.tell("heal", self.hosts[2].name)
        out, err = program.communicate("enough\n", timeout=PATIENCE)
        self.assertEqual((program.returncode, out), (0, "counting\nnothing lost\n"), err)
        log = self.hosts[2].log.read_text()
        self.assertIn("standing still", log)
        self.assertIn("going on", log)

    def test_programs_go_on_whoever_comes_leaves_or_is_cut_off(self):
        agents = self.cluster()
        picture = pathlib.Path(self.folder.name) / "picture.ppm"
        arguments = {
            "raytrace.ir": (SCENE, picture, 640, 480, 4, 3),
            "tsp.ir": (CITIES, 17, 4),
            "wordcount.ir": (4, *[TEXT] * 300),
        }
        expected = {name: self.expected(EXAMPLES / name, *words) for name, words in arguments.items()}
        expected_picture = picture.read_bytes()
        picture.unlink()
        programs = {}
        for name, words in arguments.items():
            programs[name] = self.hosts[3].start("run", "--cluster", f"{self.hosts[0].address}:7000", "--workers", 1,
                                                 "--balance", "rotate", EXAMPLES / name, *words)
            self.addCleanup(programs[name].kill)
        for name in programs:
            self.await_nodes(self.hosts[0], [0, 1, 2], name, programs[name])
        self.tell("cut", self.hosts[2].name)
        time.sleep(7)
        self.tell("heal", self.hosts[2].name)
        agents.append(self.agent(self.hosts[3], self.hosts[1]))
        self.await_nodes(self.hosts[0], [0, 1, 2, 3], "raytrace.ir", programs["raytrace.ir"])
        agents[0].terminate()  # the one that began the cluster, with the programs' first nodes
        self.assertEqual(agents[0].wait(PATIENCE), 0, "its nodes did not get empty")
        self.await_nodes(self.hosts[1], [1, 2, 3], "raytrace.ir", programs["raytrace.ir"])
        for name, program in programs.items():
            out, err = program.communicate(timeout=PATIENCE)
            self.assertEqual((program.returncode, out), (0, expected[name]), f"{name}: {err}")
        self.assertEqual(picture.read_bytes(), expected_picture)

    def test_a_killed_machine_ends_programs_with_words(self):
        agents = self.cluster()
        cities = pathlib.Path(self.folder.name) / "cities.txt"
        cities.write_text("".join(f"City{i} {i * 37 % 90} {i * 59 % 180}\n" for i in range(30)))
        picture = pathlib.Path(self.folder.name) / "picture.ppm"
        programs = {}
        for name, *words in ("raytrace.ir", SCENE, picture, 2000, 2000, 4, 4), ("tsp.ir", cities, 30, 4), \
                ("wordcount.ir", 4, *[TEXT] * 1000):
            programs[name] = self.hosts[3].start("run", "--cluster", f"{self.hosts[0].address}:7000", EXAMPLES / name, *words)
            self.addCleanup(programs[name].kill)
        for name in programs:
            self.await_nodes(self.hosts[0], [0, 1, 2], name)
        agents[2].kill()
        for name, program in programs.items():
            _, err = program.communicate(timeout=PATIENCE)
            self.assertNotEqual(program.returncode, 0, name)
            self.assertIn("node 2", err, name)
        self.assertFalse(picture.exists())

    def test_a_machine_that_does_not_come_back_ends_the_program(self):
        self.cluster()
        program = self.hosts[3].start("run", "--cluster", f"{self.hosts[0].address}:7000", PROGRAMS / "forever.ir")
        self.addCleanup(program.kill)
        self.await_nodes(self.hosts[0], [0, 1, 2])
        self.tell("cut", self.hosts[2].name)
        _, err = program.communicate(timeout=PATIENCE)
        self.assertNotEqual(program.returncode, 0)
        self.assertIn("node 2", err)
        self.assertIn("lost with it", err)


def inside_own_namespaces():
    """Runs the whole test in namespaces of its own, so that nothing of it can stay behind."""
    flags = ["--net", "--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net", "--mount"]
    script = "mount -t tmpfs none /run/netns 2>/dev/null || { mkdir -p /run/netns && mount -t tmpfs none /run/netns; }; exec \"$@\""
    return subprocess.run(["unshare", *flags, "sh", "-c", script, "sh", sys.executable, __file__, *sys.argv[1:]],
                          env=os.environ | {INSIDE: "1"}).returncode


if __name__ == "__main__":
    if INSIDE not in os.environ:
        sys.exit(inside_own_namespaces())
    JVMCLUSTER = sys.argv[1]
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
