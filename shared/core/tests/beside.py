"""Python code that runs beside a test until it is killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def start(code: str, *words: object) -> subprocess.Popen[str]:
    """Run python code beside the test; returns once it has printed its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, words)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline(), "the process ended before it was ready"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL, and wait for the end."""
    process.kill()
    process.communicate()
