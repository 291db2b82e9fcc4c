#!/usr/bin/env python3
"""Takes the pictures of docs/tutorial.md: the dashboard in Chromium, while the tutorial's programs run on two nodes.

    tools/pictures.py build/release/bin/jvmcluster [FOLDER]      FOLDER: docs/pictures
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/system"))
from browser import Browser  # noqa: E402

SECONDS = 25  # for charts to show something


def picture(browser, jvmcluster, program, limit, path, prepare=lambda page: None, width=1280, height=900):
    with tempfile.TemporaryDirectory(prefix="jvmc-pictures-") as folder:
        env = {name: value for name, value in os.environ.items() if not name.startswith("JVMC_")}
        env.update(XDG_RUNTIME_DIR=folder, XDG_CONFIG_HOME=folder, HOME=folder)
        process = subprocess.Popen([jvmcluster, "run", "--nodes", "2", "--workers", "1", "--dashboard",
                                    ROOT / "examples/tutorial" / program, str(limit)],
                                   env=env, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            url = re.search(r"http://\S+", process.stderr.readline())[0]
            page = browser.page(width, height)
            page.open(url)
            page.until("document.querySelectorAll('.thread').length == 5")
            prepare(page)
            time.sleep(SECONDS)
            page.picture(path)
            print(path)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def with_flames(page):
    page.value("document.getElementById('profile').click()")
    page.until("[...document.querySelectorAll('.call')].some((call) => call.textContent.includes('steps'))")
    page.value("document.getElementById('flame').scrollIntoView({ block: 'center' })")


def main():
    jvmcluster = pathlib.Path(sys.argv[1]).resolve()
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs/pictures"
    with Browser() as browser:
        picture(browser, jvmcluster, "collatz_1.ir", 10**8, folder / "tutorial-slow.png")
        picture(browser, jvmcluster, "collatz_3.ir", 10**9, folder / "tutorial-fast.png")
        picture(browser, jvmcluster, "collatz_3.ir", 10**9, folder / "tutorial-flames.png", with_flames)


if __name__ == "__main__":
    main()
