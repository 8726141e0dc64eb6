from __future__ import annotations

import errno
import importlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ninefold import cli
from ninefold_testing import command, module, run

SAMPLE = """
    from __future__ import annotations

    import signal
    import sys
    import time
    from pathlib import Path
    from typing import Annotated

    import typer

    from ninefold.cli import Shared, house_app, progress, run_app, verb
    from ninefold.errors import InputError
    from ninefold.report import Table

    app = house_app("sample_nine", "A sample.")


    @verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="own")
    def echo(word: str, *, times: Annotated[int, typer.Option(help="How often.")] = 1, opts: Shared) -> dict:
        "Show what came in."
        return {"word": word, "times": times, **vars(opts)}


    @verb(app, "table-of", uses=("seed", "device", "threads", "quiet", "out"), out="own")
    def table(*, opts: Shared) -> Table:
        "A table."
        return Table(["a", "b"], [[1, float("nan")]])


    @verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="own")
    def fail(kind: str, *, opts: Shared) -> None:
        "Fail."
        if kind == "input":
            raise InputError("alpha", got="two\\nlines", expected="one")
        if kind == "out":
            opts.need_out()
        if kind == "exit":
            raise typer.Exit(7)
        if kind.isdigit():
            raise OSError(int(kind), "no luck", "/some/file")
        raise {"interrupt": KeyboardInterrupt, "eof": EOFError, "defect": ZeroDivisionError}[kind]


    @verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="own")
    def count(*, opts: Shared) -> str:
        "Slow work."
        with progress(20, "counting") as bar:
            for _ in range(20):
                time.sleep(0.02)
                bar.advance(note="still counting")
        return "done"


    @verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="own")
    def hide(way: str, *, opts: Shared) -> None:
        "Meet a Ctrl-C in code that hides it."
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException:
            if way == "another error":
                raise RecursionError from None
            if way == "a missing library":
                raise InputError("torch", expected="to be installed") from None
        if way == "swallowed before progress":
            with progress(2, "work") as bar:
                bar.advance()
                print("went on")


    @verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="own")
    def sleep(*, opts: Shared) -> None:
        "Sleep."
        time.sleep(60)


    @verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="own")
    def pour(lines: int, *, opts: Shared) -> str:
        "Many lines."
        return "\\n".join("x" * 100 for _ in range(lines))


    main = run_app(app)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("sample")
    module(made, "sample_nine", SAMPLE)
    return made


@pytest.fixture
def sample(folder, monkeypatch, capfd):
    """A function that runs the sample's command in this process: (status, stdout, stderr)."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    app = importlib.import_module("sample_nine").app

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["/somewhere/sample-nine", *words])
        status = cli.status_of(app)
        return status, *capfd.readouterr()

    return call


def test_shared_options_come_after_the_verbs_own(sample):
    status, out, err = sample(
        "echo",
        "hi",
        "--times",
        "2",
        "--seed",
        "3",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--quiet",
        "-o",
        "x",
        "--json",
        "--seed=4",
    )
    assert (status, err) == (0, "")
    assert json.loads(out) == {
        "word": "hi", "times": 2, "seed": 4, "device": "cpu", "threads": 1, "json": True, "quiet": True, "force": False,
        "out": "x",
    }  # fmt: skip


def test_shared_options_have_defaults_and_text_is_for_people(sample):
    lines = ["word     hi", "times    1", "seed     0", "device   cpu", "threads  "]
    lines += ["json     no", "quiet    no", "force    no", "out      ", ""]
    assert sample("echo", "hi") == (0, "\n".join(lines), "")


def test_help_shows_the_verbs_and_the_options_of_all(sample):
    status, out, _ = sample("echo", "--help")
    assert status == 0
    for word in ("Show what came in", "--times", "--seed", "--device", "--threads", "--json", "--quiet", "--out"):
        assert word in out
    status, out, err = sample()
    assert status == 2
    assert "table-of" in out + err


def test_version_is_shown_without_a_verb(sample):
    assert sample("--version") == (0, "sample_nine unknown\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nope"], "error: No such option: --nope (see: sample-nine --help)"),
        (["nope"], "error: No such command 'nope'"),
        (["echo"], "error: Missing argument"),
        (["echo", "x", "y"], "error: Got unexpected extra argument(s) (y): sample-nine echo takes word, --times (see"),
        (["echo", "x", "--times", "many"], "error: Invalid value for '--times'"),
        (["echo", "x", "--seed", "-1"], "error: Invalid value for '--seed'"),
        (["echo", "x", "--seed", str(2**32)], "error: Invalid value for '--seed'"),
        (["echo", "x", "--threads", "0"], "error: Invalid value for '--threads'"),
        (["echo", "x", "--device", "nonsense"], "error: --device: got nonsense, expected a device"),
        (["fail", "input"], "error: alpha: got two lines, expected one"),
        (["fail", "out"], "error: --out: expected where to write the result"),
        (["fail", str(errno.ENOSPC)], "error: /some/file: no luck"),
        (["fail", str(errno.EACCES)], "error: /some/file: no luck"),
        (["fail", str(errno.EEXIST)], "error: /some/file: no luck"),
    ],
)
def test_users_mistake_is_one_line_and_status_2(sample, words, message):
    status, out, err = sample(*words)
    assert (status, out) == (2, "")
    assert err.startswith(message)
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("kind", "name"), [("defect", "ZeroDivisionError"), ("eof", "EOFError"), (str(errno.EIO), "OSError")]
)
def test_our_defect_shows_its_traceback_and_status_1(sample, kind, name):
    status, out, err = sample("fail", kind)
    assert (status, out) == (1, "")
    assert err.startswith("Traceback")
    assert name in err
    assert err.splitlines()[-1] == "this is a defect of ours: please report it with the lines above"


def test_interrupt_is_one_line_and_status_130(sample):
    assert sample("fail", "interrupt") == (130, "", "interrupted; what was finished is kept\n")


def test_verb_can_choose_its_status(sample):
    assert sample("fail", "exit") == (7, "", "")


def test_threads_are_set_before_the_verb_imports(sample, monkeypatch):
    for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(key, "7")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    sample("echo", "x")
    assert os.environ["OMP_NUM_THREADS"] == "7"
    sample("echo", "x", "--threads", "3")
    assert os.environ["OMP_NUM_THREADS"] == os.environ["NUMBA_NUM_THREADS"] == "3"


@pytest.mark.parametrize("set_by_the_user", [None, "active"])
def test_waiting_threads_leave_their_core_to_others(sample, monkeypatch, set_by_the_user):
    monkeypatch.setenv("OMP_WAIT_POLICY", set_by_the_user or "")
    if set_by_the_user is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    sample("echo", "x")
    assert os.environ["OMP_WAIT_POLICY"] == (set_by_the_user or "passive")


def test_statuses_reach_the_shell(sample):
    assert run("sample_nine", "table-of", "--json").stdout.count("null") == 1
    assert run("sample_nine", "fail", "defect").returncode == 1


def test_ctrl_c_ends_with_130(sample, tmp_path):
    process = subprocess.Popen(
        command("sample_nine", "sleep", ready=tmp_path / "ready"), stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "interrupted; what was finished is kept\n")


@pytest.mark.parametrize("way", ["swallowed", "swallowed before progress", "another error", "a missing library"])
def test_ctrl_c_that_a_library_hides_still_ends_with_130(sample, way):
    done = run("sample_nine", "hide", way)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted; what was finished is kept\n")


@pytest.mark.parametrize("lines", [1, 20_000])
def test_closed_pipe_is_no_error(sample, lines):
    process = subprocess.Popen(
        command("sample_nine", "pour", str(lines)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    errors = process.stderr.read()
    assert (process.wait(timeout=30), errors) == (0, b"")


def on_a_terminal(*words):
    """What the sample's command shows on a terminal at stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command("sample_nine", *words), stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 10_000):
            shown += part
    except OSError:  # Linux reports the end of the other side so
        pass
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def test_progress_with_the_time_left_is_for_terminals_only(sample):
    shown = on_a_terminal("count")
    assert "counting" in shown
    assert "0:00:0" in shown
    done = run("sample_nine", "count")
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.parametrize("rank", ["0", "1"])
def test_under_torchrun_the_first_process_alone_prints_the_result(monkeypatch, capsys, rank):
    for name, value in {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    cli.show({"users": 1}, as_json=True)
    assert bool(capsys.readouterr().out) == (rank == "0")


@pytest.mark.parametrize(("words", "shown"), [([], True), (["--quiet"], False), (["--json"], False)])
def test_progress_is_silenced_by_quiet_and_json(sample, monkeypatch, words, shown):
    monkeypatch.setattr(cli.Progress, "shown", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    sample("echo", "x", *words)
    assert cli.Progress.shown is shown


def test_verbs_may_be_called_as_functions(sample, folder):
    sample_nine = sys.modules["sample_nine"]
    assert sample_nine.echo("hi", opts=cli.Shared())["word"] == "hi"
    assert cli.Shared(out=Path("x")).need_out() == Path("x")
