"""A headless Chromium for tests: it opens pages, clicks and types, and keeps what its console says.

It speaks the DevTools protocol over a local socket with whatever Chromium or Chrome is installed;
nothing is downloaded.

    uv run python tools/docs/browser.py ninefold-demo.html tools/demo-page.png  # the README's picture
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

SIZE, AT = (1280, 950), "h1"  # of the README's picture
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
    "--disable-extensions", "--disable-background-networking", "--remote-debugging-port=0",
)  # fmt: skip


def executable() -> str | None:
    """The path of an installed Chromium or Chrome, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """A running browser with one page; use it in a `with` block.

    Attributes:
        errors: what the console of the pages said as an error, uncaught exceptions and failed requests among it.
    """

    def __init__(self, folder: Path, *, seconds: float = 60.0) -> None:
        """Start it with its profile in `folder`; each wait lasts `seconds` at most."""
        program = executable()
        if program is None:
            raise FileNotFoundError(f"no browser: none of {', '.join(NAMES)} is installed")
        self.errors: list[str] = []
        self._seconds, self._next = seconds, 0
        words = [program, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._socket: ClientConnection | None = None
        self._open = ExitStack()
        self._session = ""
        try:
            port, path = self._until(lambda: _address(folder / "DevToolsActivePort"), "the browser to start")
            self._socket = self._open.enter_context(connect(f"ws://127.0.0.1:{port}{path}", max_size=None))
            target = self._call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for part in ("Page", "Runtime", "Log", "Network"):
                self._call(f"{part}.enable")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser, and with it the helpers that would write into its folder a moment longer."""
        self._open.close()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with suppress(ProcessLookupError, PermissionError):  # until its group is empty, or of dead ones alone
            for _ in range(20):
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.poll()
                time.sleep(0.01)

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page a width in CSS pixels; below 600 it is a phone's, with its viewport and touch."""
        phone = width < 600
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self._call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def open(self, url: str) -> None:
        """Load a page and wait until it is complete."""
        said = self._call("Page.navigate", url=url)
        if said.get("errorText"):
            raise AssertionError(f"{url}: {said['errorText']}")
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression on the page."""
        said = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in said:
            raise AssertionError(f"{script}: {said['exceptionDetails'].get('exception', {}).get('description')}")
        return said["result"].get("value")

    def wait(self, script: str) -> Any:
        """The value of an expression once it is true; AssertionError after the time."""
        return self._until(lambda: self.evaluate(script), script)

    def click(self, selector: str) -> None:
        """Press the middle of the first element of a CSS selector, as a mouse does."""
        where = self.wait(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e) return null; "
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); "
            "return r.width ? {x: r.x + r.width / 2, y: r.y + r.height / 2} : null; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self._call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press a key that has a name: Tab, Enter."""
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            words = text if kind == "keyDown" else {}
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **words)

    def scheme(self, name: str) -> None:
        """Show pages as for a reader who prefers `light` or `dark` colours."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window: 0 where nothing has to be scrolled sideways."""
        return self.evaluate("Math.max(0, document.documentElement.scrollWidth - window.innerWidth)")

    def screenshot(self, path: Path) -> None:
        """Write what the window shows, as PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def _call(self, method: str, **words: Any) -> dict[str, Any]:
        """Send a command and return its result; what comes in before it is kept in `errors` if it is one."""
        assert self._socket is not None
        self._next += 1
        message: dict[str, Any] = {"id": self._next, "method": method, "params": words}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            said = json.loads(self._socket.recv(timeout=self._seconds))
            if said.get("id") == self._next:
                if "error" in said:
                    raise AssertionError(f"{method}: {said['error']['message']}")
                return said["result"]
            self.errors += _errors(said)

    def _until(self, ask: Any, what: str) -> Any:
        end = time.monotonic() + self._seconds
        while True:
            try:
                if found := ask():
                    return found
            except AssertionError as error:  # a page that is being replaced answers nothing
                if "context" not in str(error) and "navigated" not in str(error):
                    raise
            if time.monotonic() > end:
                raise AssertionError(f"waited {self._seconds:g} s for {what}")
            time.sleep(0.02)


def _address(file: Path) -> list[str] | None:
    """[port, path] of the browser's socket, once it has written them."""
    lines = file.read_text(encoding="utf-8").split() if file.exists() else []
    return lines if len(lines) == 2 else None


def _errors(said: dict[str, Any]) -> Iterator[str]:
    """What a message of the browser says went wrong."""
    words = said.get("params", {})
    if said["method"] == "Runtime.exceptionThrown":
        details = words["exceptionDetails"]
        yield f"uncaught: {details.get('exception', {}).get('description', details['text'])}"
    elif said["method"] == "Runtime.consoleAPICalled" and words["type"] in ("error", "assert"):
        yield "console: " + " ".join(str(one.get("value", one.get("description"))) for one in words["args"])
    elif said["method"] == "Log.entryAdded" and words["entry"]["level"] == "error":
        yield f"log: {words['entry']['text']} {words['entry'].get('url', '')}"
    elif said["method"] == "Network.loadingFailed" and not words.get("canceled"):
        yield f"request failed: {words['errorText']}"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of static files on this machine, while the block lasts."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 64  # a browser opens many connections at once

    with Server(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a picture of a page.")
    parser.add_argument("page", type=Path, metavar="HTML")
    parser.add_argument("picture", type=Path, metavar="PNG")
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, metavar=("WIDTH", "HEIGHT"), help="in pixels")
    parser.add_argument("--at", default=AT, metavar="SELECTOR", help="what stands at the picture's top")
    options = parser.parse_args()
    options.picture.write_bytes(picture(options.page, tuple(options.size), options.at))


def picture(page: Path, size: tuple[int, int] = SIZE, at: str = AT) -> bytes:
    """A page's picture of so many pixels, from the element `at` on, as a small PNG."""
    from PIL import Image

    with tempfile.TemporaryDirectory(prefix="ninefold-picture-") as scratch, Browser(Path(scratch)) as browser:
        browser.resize(*size)
        browser.open(page.resolve().as_uri())
        browser.evaluate(f"document.querySelector({json.dumps(at)}).scrollIntoView()")
        shot = Path(scratch) / "shot.png"
        browser.screenshot(shot)
        made = io.BytesIO()
        Image.open(shot).convert("P", palette=Image.Palette.ADAPTIVE).save(made, "PNG", optimize=True)
    return made.getvalue()


if __name__ == "__main__":
    main()
