"""Programs that a shell starts and a warm process runs behave as those of a process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ninefold_testing import Warm

from .shims import make_shims


@pytest.fixture(scope="module")
def warm():
    made = Warm("numpy", "nosuchmodule", "colorsys")
    yield made
    made.close()


@pytest.fixture
def call(warm, tmp_path):
    """A function that runs a line of a shell whose `python` and `tool` are the warm process's."""
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "tool.py"
    tool.write_text("import sys\nif __name__ == '__main__':\n    print('tool', *sys.argv, __file__, sys.path[0])\n")
    make_shims(warm.address, tmp_path / "bin", {"tool": tool})
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def run(line: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PATH": path, **env},
            timeout=60, check=False,
        )  # fmt: skip

    return run


WARM = "import sys; assert 'colorsys' in sys.modules; "


@pytest.mark.parametrize(
    ("end", "status"),
    [("pass", 0), ("sys.exit(7)", 7), ("sys.exit('why')", 1), ("1 / 0", 1), ("import os; os._exit(9)", 9),
     ("import os; os.kill(os.getpid(), 9)", -9), ("import os; os.kill(os.getpid(), 15)", -15),
     ("raise KeyboardInterrupt", -2)],
)  # fmt: skip
def test_a_program_ends_with_its_status(warm, call, end, status):
    assert warm.run(["-c", WARM + end]).returncode == status
    done = call(f"exec python -c {(WARM + end)!r}" if "'" not in end else f'exec python -c "{WARM + end}"')
    assert done.returncode == status
    fresh = subprocess.run([sys.executable, "-c", "import sys; " + end], capture_output=True, text=True, check=False)
    assert fresh.returncode == status
    assert done.stderr.splitlines()[-1:] == fresh.stderr.splitlines()[-1:]


def test_words_folder_environment_and_input_are_its_own(warm, call, tmp_path):
    code = WARM + "import os; print(sys.argv, os.getcwd(), os.environ.get('MINE'), sys.stdin.read(), sys.path[0] == '')"
    done = call(f'printf "a line" | python -c "{code}" one "two words"', MINE="here")
    assert done.stdout == f"['-c', 'one', 'two words'] {tmp_path} here a line True\n", done.stderr
    done = call(f'printf "a line" | python -c "{code}"')
    assert "None a line" in done.stdout
    assert call("python - x <<'E'\nimport sys\nprint(sys.argv)\nE").stdout == "['-', 'x']\n"
    assert call("tool a").stdout == f"tool {tmp_path / 'tool.py'} a {tmp_path / 'tool.py'} {tmp_path}\n"
    assert call("python tool.py b").stdout == f"tool tool.py b tool.py {tmp_path}\n"
    assert call("python --version").stdout == f"Python {sys.version.split()[0]}\n"
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "mine_alone.py").write_text("x = 5")
    done = call('python -c "import mine_alone; print(mine_alone.x)"', PYTHONPATH=str(tmp_path / "more"))
    assert done.stdout == "5\n", done.stderr


def test_it_is_main_its_random_numbers_are_new_and_what_it_wants_at_the_end_is_done(call):
    code = (
        f"{WARM}import atexit, random, __main__; mine = 1; assert __main__.mine; import numpy; "
        "print(random.random(), numpy.random.random()); atexit.register(print, 'end')"
    )
    first, second = (call(f'python -c "{code}"').stdout.splitlines() for _ in range(2))
    assert first[1:] == second[1:] == ["end"]
    assert not set(first[0].split()) & set(second[0].split())


@pytest.mark.parametrize(("system", "fails"), [("nfs", "Bad file descriptor"), ("EIO", "Input/output error")])
def test_program_has_the_locks_of_another_file_system(call, system, fails):
    code = (
        "import fcntl, sys\n"
        "try: fcntl.flock(open(sys.executable, 'rb'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except OSError as error: print(error.strerror)"
    )
    assert call(f'python -c "{code}"', NINEFOLD_FLOCK=system).stdout == f"{fails}\n"
    assert call(f'python -c "{code}"').stdout == ""


def test_large_output_arrives_whole_on_both_streams(call):
    text = WARM + "print('x' * 3_000_000); print('y' * 2_000_000, file=sys.stderr)"
    done = call(f'python -c "{text}"')
    assert (len(done.stdout), len(done.stderr)) == (3_000_001, 2_000_001)
    assert call('python -c "for _ in range(10**6): print(1)" | head -n 1').stdout == "1\n"


@pytest.fixture
def attentive():
    """SIGINT is not ignored, as it is in what a shell starts in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_to_the_shim_is_the_programs(call, tmp_path, attentive):
    code = (
        "import pathlib, time\ntry:\n    pathlib.Path('on').touch()\n    time.sleep(60)\n"
        "except KeyboardInterrupt: print('bye')"
    )
    done = call(f'python -c "{code}" & while [ ! -e on ]; do sleep 0.01; done; kill -TERM $!; wait $!')
    assert done.returncode == 128 + signal.SIGTERM
    (tmp_path / "on").unlink()
    shim = subprocess.Popen([tmp_path / "bin" / "python", "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    while not (tmp_path / "on").exists():
        time.sleep(0.01)
    shim.send_signal(signal.SIGINT)
    assert shim.communicate(timeout=30)[0] == "bye\n"
    assert shim.returncode == 0


def test_a_program_whose_caller_is_gone_is_ended(call, tmp_path):
    code = "import os, pathlib, time; pathlib.Path('id').write_text(f'{os.getpid()} '); time.sleep(60)"
    done = call(f'python -c "{code}" & while [ ! -s id ]; do sleep 0.01; done; kill -KILL $!; wait $!')
    assert done.returncode == 128 + signal.SIGKILL
    gone = int((tmp_path / "id").read_text())
    end = time.monotonic() + 30
    while Path(f"/proc/{gone}").exists() and time.monotonic() < end:
        time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(gone, 0)


def test_threads_and_exit_handlers_end_before_the_program(call, tmp_path):
    code = (
        f"{WARM}import atexit, tempfile, threading, time\n"
        "def late(): time.sleep(0.2); print('thread')\n"
        "atexit.register(print, 'handler'); threading.Thread(target=late).start()\n"
        "kept = tempfile.TemporaryDirectory(); open('made', 'w').write(kept.name); print('main'); sys.exit(4)"
    )
    done = call(f'python -c "{code}"')
    assert (done.returncode, done.stdout.split()) == (4, ["main", "thread", "handler"])
    assert not Path((tmp_path / "made").read_text()).exists()
