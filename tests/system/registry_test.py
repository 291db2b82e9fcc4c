#!/usr/bin/env python3
"""Agents that find each other in etcd. Usage: registry_test.py JVMCLUSTER [unittest arguments]"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

JVMCLUSTER = None
EXAMPLES = pathlib.Path(__file__).resolve().parent.parent.parent / "examples"
PATIENCE = 120 * float(os.environ.get("JVMC_TEST_PATIENCE", "1"))  # seconds; the machine may be busy


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RegistryTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="jvmc-registry-")
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("JVMC_", "ETCD"))}
        self.env.update(XDG_RUNTIME_DIR=self.folder.name, XDG_CONFIG_HOME=self.folder.name, HOME=self.folder.name)
        self.port, self.peer_port = free_port(), free_port()
        self.url = f"etcd://127.0.0.1:{self.port}/test"
        self.start_etcd()

    def start_etcd(self):
        self.assertTrue(shutil.which("etcd"), "etcd is missing: the package etcd-server")
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.peer_port}"
        self.etcd = subprocess.Popen(
            ["etcd", "--data-dir", self.path / "etcd", "--listen-client-urls", client, "--advertise-client-urls", client,
             "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"],
            env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.etcd.wait)
        self.addCleanup(self.etcd.kill)
        self.await_true(self.etcd_answers, "etcd to answer")

    def etcd_answers(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return json.load(answer)["health"] == "true"
        except OSError:
            return False

    def await_true(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, f"waiting for {what}")
            time.sleep(0.1)

    def run_command(self, *words):
        return subprocess.run([JVMCLUSTER, *map(str, words)], env=self.env, text=True, capture_output=True,
                              timeout=PATIENCE, stdin=subprocess.DEVNULL)

    def agent(self, *options):
        """A running agent and its address."""
        agent = subprocess.Popen([JVMCLUSTER, "node", "--listen", "127.0.0.1:0", "--registry", self.url, *options],
                                 env=self.env, text=True, stderr=subprocess.PIPE)
        self.addCleanup(agent.stderr.close)
        self.addCleanup(agent.wait)
        self.addCleanup(agent.kill)
        for line in agent.stderr:
            if "listening on " in line:
                return agent, line.split("listening on ")[1].strip()
        raise AssertionError("the agent has ended")

    def agents(self, at=None):
        """Who the agents know of each other, asked at one of them."""
        done = self.run_command("nodes", "--cluster", at or self.url, "--json")
        return {agent["address"] for agent in json.loads(done.stdout)["agents"]} if done.returncode == 0 else set()

    def test_agents_find_each_other_and_programs_find_them(self):
        agents = dict(reversed(self.agent()) for _ in range(3))
        for address in agents:
            self.await_true(lambda: self.agents(address) == set(agents), "all to know all")
        expected = self.run_command("run", EXAMPLES / "nbody.ir", 200, 4).stdout
        done = self.run_command("run", "--cluster", self.url, "--balance", "rotate", EXAMPLES / "nbody.ir", 200, 4)
        self.assertEqual((done.returncode, done.stdout), (0, expected), done.stderr)

        # Any of them may die; who comes later needs to know nobody.
        first = next(iter(agents))
        agents.pop(first).kill()
        late, address = self.agent()
        agents[address] = late
        self.await_true(lambda: self.agents(address) == set(agents), "the newcomer to know the others")
        done = self.run_command("run", "--cluster", self.url, EXAMPLES / "nbody.ir", 200, 4)
        self.assertEqual((done.returncode, done.stdout), (0, expected), done.stderr)

        # One that leaves in order is not listed any more at once.
        address, agent = agents.popitem()
        agent.terminate()
        self.assertEqual(agent.wait(PATIENCE), 0)
        self.assertNotIn(address, self.agents())

    def test_the_registry_may_go_and_come_back(self):
        (_, first), (_, second) = self.agent(), self.agent()
        self.await_true(lambda: self.agents(first) == {first, second}, "two agents to know each other")
        self.etcd.kill()
        self.etcd.wait()
        failed = self.run_command("nodes", "--cluster", self.url)
        self.assertEqual(failed.returncode, 3)
        self.assertIn("cannot reach registry", failed.stderr)
        self.assertEqual(self.agents(first), {first, second}, "agents need the registry to go on")
        failed = self.run_command("node", "--listen", "127.0.0.1:0", "--registry", self.url)
        self.assertIn("cannot reach registry", failed.stderr)
        self.start_etcd()
        _, third = self.agent()
        self.await_true(lambda: self.agents(third) == {first, second, third}, "all to be listed again")

    def test_an_agent_with_another_key_is_refused(self):
        self.agent()
        refused = self.run_command("node", "--listen", "127.0.0.1:0", "--registry", self.url, "--key-file",
                                   self.path / "other" / "key")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("another cluster key", refused.stderr)
        # Under another name it is another cluster.
        self.url = self.url.replace("/test", "/other")
        self.agent("--key-file", str(self.path / "other" / "key"))

    def test_addresses_that_make_no_sense_are_refused(self):
        for url in ("zookeeper://127.0.0.1:1", "etcd://", "etcd://host", "etcd://127.0.0.1:1/a/b"):
            refused = self.run_command("node", "--listen", "127.0.0.1:0", "--registry", url)
            self.assertEqual(refused.returncode, 2, url)
            self.assertIn("expected etcd://HOST:PORT", refused.stderr)
        self.run_command("keygen")
        empty = self.run_command("nodes", "--cluster", self.url)
        self.assertEqual(empty.returncode, 3, empty.stderr)
        self.assertIn("no agent is listed", empty.stderr)


if __name__ == "__main__":
    JVMCLUSTER = sys.argv[1]
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
