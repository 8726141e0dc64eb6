"""PostgreSQL and Redis servers on loopback for one test module, where their programs are installed."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """URL of a fresh server without fsync, ended at exit; skips the test without the program or the driver."""
    driver = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgresql)")
    programs = [Path(one).parent for one in (shutil.which("initdb"), shutil.which("pg_ctl")) if one]
    programs += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = next((one for one in programs if (one / "initdb").exists() and (one / "postgres").exists()), None)
    if found is None:
        pytest.skip("no PostgreSQL server (initdb, postgres) on this machine")
    owner = _other_user() if os.geteuid() == 0 else None  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="recsys-pg-", dir=_open_folder() if owner is not None else None))
    if owner is not None:
        os.chown(folder, owner, -1)
    port = _free_port()
    options = {"user": owner, "cwd": folder, "stderr": subprocess.STDOUT}
    words = [found / "initdb", "-D", folder / "base", "-A", "trust", "-U", "tester", "-N", "-E", "UTF8", "--no-locale"]
    made = subprocess.run(words, stdout=subprocess.PIPE, text=True, **options)
    assert made.returncode == 0, made.stdout
    words = [found / "postgres", "-D", folder / "base", "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, **options)
    url = f"postgresql://tester:secret@127.0.0.1:{port}/postgres"
    try:
        _await(lambda: driver.connect(url).close(), driver.OperationalError, server)
        yield url
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """URL of a fresh server that writes nothing to disk; skips the test without the program or the driver."""
    driver = pytest.importorskip("redis", reason="redis is not installed (extra redis)")
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("no redis-server on this machine")
    port = _free_port()
    words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with contextlib.closing(driver.Redis.from_url(url)) as base:
            _await(base.ping, driver.ConnectionError, server)
        yield url
    finally:
        server.terminate()
        server.wait()


def _await(ready, error, server, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            ready()
        except error:
            if time.monotonic() > end or server.poll() is not None:
                raise
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _open_folder() -> Path:
    """A folder for temporary files that another user reaches: the usual one may be its owner's alone."""
    for folder in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108
        if folder.is_dir() and all(one.stat().st_mode & stat.S_IXOTH for one in (folder, *folder.parents)):
            return folder
    return Path(tempfile.gettempdir())


def _other_user() -> int:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    return 65534
