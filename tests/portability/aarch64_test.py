#!/usr/bin/env python3
"""Frames captured in compiled code of this machine go on in the interpreter of an AArch64 machine (qemu-user).

Cross-compiles ir/ and runtime/ with Debian's g++-aarch64-linux-gnu and the libraries they use, which it unpacks into a
folder of its own (no package is installed). Then, for several moments: save_frames runs the program compiled and writes
its thread to a file; resume_frames for AArch64 must print what the program prints.

    aarch64_test.py --bin build/release/bin --work build/aarch64

Ends with code 77 and the reason if the machine cannot do it.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests/portability/carried.ir"
POLLS = (3, 50, 200)
NEEDED = ("aarch64-linux-gnu-g++", "qemu-aarch64", "apt-get", "dpkg", "cmake", "ninja", "capnp")
PACKAGES = """libboost1.81-dev libboost-context1.81-dev libboost-context1.81.0 libcapnp-dev libcapnp-0.9.2 libfmt-dev libfmt9
    libspdlog-dev libspdlog1.10 libssl-dev libssl3 libtbb-dev libtbb12 libtbbbind-2-5 libtbbmalloc2 libxxhash-dev libxxhash0
    nlohmann-json3-dev""".split()


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def run(command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **options)
    return done.returncode, done.stdout


def must(command, **options):
    code, out = run(command, **options)
    if code != 0:
        sys.exit(f"failed ({code}): {' '.join(str(word) for word in command)}\n{out[-4000:]}")
    return out


def fetch_libraries(work):
    """Unpacks the arm64 packages below work/root, with apt's state in work/apt."""
    root, apt = work / "root", work / "apt"
    if (root / "complete").exists():
        return root
    for folder in ("state/lists/partial", "cache/archives/partial", "packages"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "state/status").touch()
    (apt / "apt.conf").write_text(f"""APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Sandbox::User "";
Dir::State "{apt}/state";
Dir::State::status "{apt}/state/status";
Dir::Cache "{apt}/cache";
""")
    env = dict(os.environ, APT_CONFIG=str(apt / "apt.conf"))
    for command in (["apt-get", "update"], ["apt-get", "download", *PACKAGES]):
        code, out = run(command, env=env, cwd=apt / "packages")
        if code != 0:
            skip(f"arm64 packages are out of reach: {out.strip().splitlines()[-1:]}")
    for package in (apt / "packages").glob("*.deb"):
        must(["dpkg", "-x", package, root])
    (root / "complete").touch()
    return root


def build(work, root):
    """The cross build; gives the command that runs resume_frames."""
    must(["cmake", "-S", ROOT, "-B", work, "-G", "Ninja", f"-DCMAKE_TOOLCHAIN_FILE={ROOT}/cmake/aarch64.cmake",
          f"-DJVMC_AARCH64_ROOT={root}", "-DJVMC_INTERPRETER_ONLY=ON", "-DCMAKE_BUILD_TYPE=Release",
          "-DCMAKE_CXX_FLAGS_RELEASE=-O0"])
    must(["ninja", "-C", work, "resume_frames"])
    program = work / "bin/resume_frames"
    print(must(["file", "-b", program]).strip() if shutil.which("file") else program)
    libraries = root / "usr/lib/aarch64-linux-gnu"
    return ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", "-E", f"LD_LIBRARY_PATH={libraries}", program]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="irc and save_frames of this machine")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for packages and the cross build")
    parser.add_argument("--native", action="store_true", help="resume on this machine instead; nothing is cross-compiled")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    work = args.work.resolve()
    if args.native:
        resume = [args.bin / "resume_frames"]
    else:
        missing = [tool for tool in NEEDED if not shutil.which(tool)]
        if missing:
            skip(f"not installed: {', '.join(missing)} (packages g++-aarch64-linux-gnu, qemu-user)")
        resume = build(work, fetch_libraries(work))
    module = work / "carried.irm"
    must([args.bin / "irc", "build", PROGRAM, "-o", module])
    expected = run([args.bin / "irc", "run", "--mode", "interp", PROGRAM], timeout=120)
    failed = 0
    for polls in POLLS:
        image = work / f"carried.{polls}"
        saved = must([args.bin / "save_frames", module, image, polls], timeout=120).strip()
        got = run([*resume, module, image], timeout=300)
        failed += got != expected
        print(f"{'ok  ' if got == expected else 'FAIL'} poll {polls}: {saved}; {image.stat().st_size} bytes; resumed: {got}")
    print(f"expected: {expected}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
