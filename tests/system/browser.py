"""Chromium without a window, driven over its DevTools protocol through a pipe: no port, no library.

    with Browser() as browser:
        page = browser.page(1280, 900)
        page.open("http://127.0.0.1:1234/")
        page.until("document.title == 'x'")
        page.picture("x.png")
"""
import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

PATIENCE = 40  # seconds; the machine may be busy


def chromium():
    for name in ("chromium", "chromium-headless-shell"):
        if path := shutil.which(name):
            return path
    raise AssertionError("chromium is not installed (tools/setup installs it)")


class Browser:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="jvmc-browser-", ignore_cleanup_errors=True)
        to_browser, from_us = os.pipe()
        from_browser, to_us = os.pipe()

        def pipes():  # the browser reads from descriptor 3 and writes to 4
            read, write = os.dup(to_browser), os.dup(to_us)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self.process = subprocess.Popen(
            [chromium(), "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
             "--disable-dev-shm-usage", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--disable-default-apps", "--mute-audio", "--no-proxy-server",
             "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
             f"--user-data-dir={self.folder.name}"],
            preexec_fn=pipes, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, "HOME": self.folder.name})
        os.close(to_browser)
        os.close(to_us)
        self.out, self.back = from_us, from_browser
        self.rest, self.number, self.listeners = b"", 0, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
            self.process.wait(timeout=10)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, 9)
            self.process.wait()
        os.close(self.out)
        os.close(self.back)
        self.folder.cleanup()

    def call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        number, end = self.number, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self.receive(end)
            if answer and answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
        raise AssertionError(f"the browser does not answer {method}")

    def receive(self, end):
        """The next message; events are given to the listeners."""
        while b"\0" not in self.rest:
            if not select.select([self.back], [], [], max(0, end - time.monotonic()))[0]:
                return None
            some = os.read(self.back, 1 << 20)
            assert some, "the browser has ended"
            self.rest += some
        one, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(one)
        if "method" in message:
            for listener in self.listeners:
                listener(message)
        return message

    def page(self, width, height, phone=False, dark=False):
        return Page(self, width, height, phone, dark)


class Page:
    def __init__(self, browser, width, height, phone, dark):
        self.browser = browser
        self.complaints = []  # of the console and of the network
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.listeners.append(self.note)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.dark(dark)

    def call(self, method, **parameters):
        return self.browser.call(method, session=self.session, **parameters)

    def note(self, message):
        if message.get("sessionId") != self.session:
            return
        method, params = message["method"], message["params"]
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def dark(self, on):
        scheme = "dark" if on else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until("document.readyState == 'complete'")

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def until(self, expression, patience=PATIENCE):
        """Returns when the expression is true."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.value(f"Boolean({expression})"):
                return
            time.sleep(0.1)
        raise AssertionError(f"waited {patience} s in vain for {expression}; {self.complaints}")

    def key(self, name):
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def picture(self, path, whole=True):
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))
