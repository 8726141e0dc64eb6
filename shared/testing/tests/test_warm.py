"""A warm process runs programs beside one another, ends them in time and with itself. How they behave: where shells
start them (`integration-tests/test_shims.py`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ninefold_testing import Warm


@pytest.fixture(scope="module")
def warm():
    made = Warm("numpy", "nosuchmodule", "colorsys")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("end", "status"), [("pass", 0), ("sys.exit(7)", 7), ("1 / 0", 1), ("import os; os.kill(os.getpid(), 9)", -9)]
)
def test_a_program_ends_with_its_status(warm, end, status):
    done = warm.run(["-c", f"import sys; assert 'colorsys' in sys.modules; print('said'); {end}"])
    assert done.returncode == status
    assert status < 0 or done.stdout == "said\n"


def test_exit_handlers_are_called_also_those_of_what_was_imported_before(tmp_path, monkeypatch):
    ends = "import atexit, weakref\nclass Kept: pass\nkept = Kept()\ndef at_end(who):\n"
    ends += "    atexit.register(print, who, 'leaves')\n    weakref.finalize(kept, print, who, 'is freed')\n"
    (tmp_path / "imported_before.py").write_text(f"{ends}at_end('import')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = Warm("logging.handlers", "imported_before")
    late = "import imported_before, logging.handlers as l, sys; imported_before.at_end('program'); "
    late += "l.MemoryHandler(9, target=logging.StreamHandler(sys.stdout)).handle(logging.makeLogRecord({'msg': 'log'}))"
    try:
        said = made.run(["-c", f"import logging; {late}"]).stdout.splitlines()
        real = subprocess.run(
            [sys.executable, "-c", f"import logging; {late}"], capture_output=True, text=True, check=False
        )
        assert sorted(said) == sorted(real.stdout.splitlines())
        assert {"program leaves", "program is freed", "import leaves", "import is freed", "log"} == set(said)
    finally:
        made.close()


def test_two_at_once_do_not_wait_for_each_other(warm, tmp_path):
    code = "import pathlib, time; {0}.touch()\nwhile not {1}.exists(): time.sleep(0.01)"
    one, other = (f"pathlib.Path({str(tmp_path / name)!r})" for name in ("one", "other"))
    with Path(os.devnull).open("wb") as out:
        programs = [
            warm.start(["-c", code.format(*pair)], out.fileno(), out.fileno()) for pair in ((one, other), (other, one))
        ]
    assert [program.wait(30) for program in programs] == [0, 0]


def test_programs_are_ended_with_the_process():
    made = Warm()
    with Path(os.devnull).open("wb") as out:
        program = made.start(["-c", "import time; time.sleep(60)"], out.fileno(), out.fileno())
    assert program.wait(0) is None
    made.close()
    with pytest.raises(ProcessLookupError):
        os.kill(program.process, 0)


def test_time_that_runs_out_is_an_error(warm):
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run(["-c", "import time; time.sleep(60)"], timeout=0.2)
