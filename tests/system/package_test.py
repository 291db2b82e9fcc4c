#!/usr/bin/env python3
"""The Debian package and the installed tree: complete, with the right dependencies, working wherever they lie.

    package_test.py BUILD_FOLDER CMAKE [unittest arguments]
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = CMAKE = None
KNOWN_TO_LINTIAN = {"no-manual-page"}  # of jvmcluster-vm, which is started by jvmcluster only


def run(*words, **options):
    result = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=240, **options)
    assert result.returncode == 0, f"{words}: {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="jvmc-package-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = pathlib.Path(cls.folder.name)

    def works(self, prefix):
        """The programs below `prefix` run an example, alone and on two nodes, and find what belongs to them."""
        (self.path / "run").mkdir(mode=0o700, exist_ok=True)
        env = {"PATH": f"{prefix}/bin:/usr/bin:/bin", "HOME": str(self.path), "XDG_RUNTIME_DIR": str(self.path / "run")}
        example = prefix / "share/jvmcluster/examples/philosophers.ir"
        alone = run("irc", "run", example, env=env, cwd=self.path)
        self.assertTrue(alone)
        self.assertEqual(run("jvmcluster", "run", "--nodes", "2", "--workers", "1", example, env=env, cwd=self.path), alone)
        complete = "source $1; _jvmcluster_values run --mode"
        script = prefix / "share/bash-completion/completions/jvmcluster"
        self.assertEqual(run("bash", "-c", complete, "bash", script, env=env).split(), ["interp", "jit", "auto"])

    def test_the_package_is_complete_and_its_programs_run(self):
        env = {**os.environ, "CCACHE_DISABLE": "1"}
        run(CMAKE.parent / "cpack", "--config", BUILD / "CPackConfig.cmake", "-B", self.path / "out", env=env)
        (deb,) = (self.path / "out").glob("*.deb")
        self.assertRegex(deb.name, r"^jvmcluster_[0-9.]+_\w+\.deb$")

        depends = run("dpkg-deb", "-f", deb, "Depends")
        for library in ("libc6", "libstdc++6", "libllvm19", "libcapnp-0.9.2", "libtbb12", "libboost-context1.81.0", "libfmt9"):
            self.assertIn(library, depends)
        self.assertNotRegex(depends, "-dev|clang|gtest|benchmark")

        root = self.path / "root"
        run("dpkg-deb", "-x", deb, root)
        prefix = root / "usr"
        for file in ("bin/irc", "bin/jvmcluster", "bin/jvmcluster-vm", "share/man/man1/jvmcluster-run.1.gz",
                     "share/man/man1/irc.1.gz", "share/bash-completion/completions/irc",
                     "share/zsh/vendor-completions/_jvmcluster", "share/fish/vendor_completions.d/jvmcluster.fish",
                     "share/jvmcluster/ir.tmLanguage.json", "share/jvmcluster/examples/mandelbrot.ir",
                     "share/jvmcluster/examples/data/cities.txt", "share/doc/jvmcluster/reference/cli.md",
                     "share/doc/jvmcluster/changelog.gz", "share/doc/jvmcluster/copyright"):
            self.assertTrue((prefix / file).is_file(), file)
        for program in ("irc", "jvmcluster", "jvmcluster-vm"):
            self.assertNotIn("RUNPATH", run("readelf", "-d", prefix / "bin" / program), "it must work in any place")
        self.works(prefix)
        if shutil.which("lintian"):
            said = subprocess.run(["lintian", "--allow-root", str(deb)], capture_output=True, text=True, timeout=240).stdout
            tags = set(re.findall(r"^[EW]: \w+: (\S+)", said, re.M))
            self.assertLessEqual(tags, KNOWN_TO_LINTIAN, said)

    def test_an_installed_tree_can_be_moved(self):
        run(CMAKE, "--install", BUILD, "--prefix", self.path / "first", "--strip")
        (self.path / "first").rename(self.path / "second")
        self.works(self.path / "second")
        self.assertTrue((self.path / "second/share/man/man1/jvmcluster.1").is_file())
        self.assertTrue((self.path / "second/share/zsh/site-functions/_irc").is_file())


if __name__ == "__main__":
    BUILD, CMAKE = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
