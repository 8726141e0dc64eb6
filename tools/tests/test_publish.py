"""A rehearsal: all distributions built from tags, put into an index on this machine, installed by name, upgraded."""

from __future__ import annotations

import functools
import hashlib
import http.server
import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from publish import PREFIX, systems
from wheels import prefixed, refuse_platform
from workspace import ROOT, ToolError, environment, find, members

NAMES = [prefixed(name, PREFIX) for name in members()]
HIGHER = "99.0"  # version of strangers' projects


@pytest.mark.parametrize(
    ("tag", "accepted"),
    [("any", True), ("manylinux_2_17_x86_64", True), ("manylinux2014_aarch64", True), ("musllinux_1_2_x86_64", True),
     ("macosx_11_0_arm64", True), ("win_amd64", True), ("linux_x86_64", False), ("linux_aarch64", False),
     ("manylinux_2_17_x86_64.linux_x86_64", False)],
)  # fmt: skip
def test_wheel_for_a_platform_that_an_index_refuses_is_refused(tag, accepted):
    wheel = Path(f"ninefold_bnn_fsg-1.0-py3-none-{tag}.whl")
    if accepted:
        refuse_platform(wheel)
        return
    with pytest.raises(ToolError, match="an index refuses linux_"):
        refuse_platform(wheel)


def test_compiled_package_is_published_for_linux_and_macos():
    found = systems(find("bnn-fsg"))
    assert {"x86_64-linux-gnu.2.17", "aarch64-linux-gnu.2.17", "x86_64-macos.11.0", "aarch64-macos.11.0"} <= set(found)
    assert systems(find("tswitch")) == []


def stranger(folder: Path, name: str) -> None:
    """Write a wheel of somebody else's project that has a name of ours."""
    about = f"{name}-{HIGHER}"
    with zipfile.ZipFile(folder / f"{about}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}_of_a_stranger.py", "")
        wheel.writestr(f"{about}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {HIGHER}\n")
        wheel.writestr(f"{about}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}.dist-info/RECORD", "")


class Simple(http.server.SimpleHTTPRequestHandler):
    """The simple index of PEP 503 over a folder of files."""

    def do_GET(self) -> None:
        parts = self.path.strip("/").split("/")
        if parts[0] == "files":
            self.path = f"/{parts[1]}"
            super().do_GET()
            return
        files = sorted(one for one in Path(self.directory).iterdir() if normal(one.name.split("-")[0]) == parts[-1])
        digests = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in files}
        links = "".join(f'<a href="/files/{name}#sha256={value}">{name}</a>' for name, value in digests.items())
        body = f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
        self.send_response(200 if files else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Address of an index with what the tags of a copy of this repository publish, and with strangers' projects."""
    copy, files = tmp_path_factory.mktemp("copy") / "ninefold", tmp_path_factory.mktemp("files")
    subprocess.run(["git", "clone", "--quiet", "--depth=1", ROOT.as_uri(), copy], check=True)
    for name, package in members().items():
        tag = f"{name}-v{package.version}"
        subprocess.run(["git", "tag", "--force", tag], cwd=copy, check=True, capture_output=True)
        words = [sys.executable, copy / "tools" / "release" / "publish.py", tag, "--out", files, "--no-targets"]
        done = subprocess.run(words, cwd=copy, capture_output=True, text=True, check=False, env=environment())
        assert done.returncode == 0, done.stderr
        assert [Path(one).suffix for one in done.stdout.split()] == [".whl", ".gz"], done.stdout
    for name in ("proteus", "tswitch"):
        stranger(files, name)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Simple, directory=str(files))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def uv(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    env = environment({"UV_EXCLUDE_NEWER": None})
    command = ["uv", "--no-config", *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=env)


@pytest.mark.slow
def test_all_are_installed_by_name_and_upgraded_and_a_strangers_higher_version_is_not(index, tmp_path):
    pythons = [one for one in ("3.11", "3.13") if not uv(tmp_path, "python", "find", one).returncode]
    assert pythons
    for python in pythons:
        venv = tmp_path / python
        assert uv(tmp_path, "venv", "--quiet", "--python", python, venv).returncode == 0
        inside = ["pip", "install", "--python", venv, "--default-index", index, "--no-deps", "--no-cache"]
        expected = {f"{prefixed(name, PREFIX)}=={package.version}" for name, package in members().items()}
        for more in ([], ["--upgrade"]):
            done = uv(tmp_path, *inside, *more, *NAMES)
            assert done.returncode == 0, done.stderr
            assert set(uv(tmp_path, "pip", "freeze", "--python", venv).stdout.split()) == expected
        for about in venv.rglob("ninefold_*.dist-info/METADATA"):  # each requires the others by these names
            required = re.findall(r"^Requires-Dist: ([\w.-]+)", about.read_text(encoding="utf-8"), re.MULTILINE)
            assert not {normal(one) for one in required} & (set(members()) - set(NAMES)), about
        code = "from ninefold.errors import distribution_of as of; print(*map(of, ['proteus', 'bnn_fsg', 'ninefold']))"
        said = subprocess.run([venv / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
        assert said.stdout.split() == ["ninefold-proteus", "ninefold-bnn-fsg", "ninefold-core"]
        code = "from ninefold.errors import require; require('no_such_module', 'proteus', 'xlsx')"
        said = subprocess.run([venv / "bin" / "python", "-c", code], capture_output=True, text=True, check=False)
        (line,) = re.findall(r"pip install '([^']+)'", said.stderr)
        assert line == "ninefold-proteus[xlsx]"
        done = uv(tmp_path, *inside, "--upgrade", line)
        assert done.returncode == 0, done.stderr
        assert set(uv(tmp_path, "pip", "freeze", "--python", venv).stdout.split()) == expected
