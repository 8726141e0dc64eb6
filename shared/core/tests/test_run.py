from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path

import numpy as np
import pytest
from ninefold.errors import ArtifactError, InputError
from ninefold.files._owner import RUN
from ninefold.run import Run, environment

from .beside import kill, start

CONFIG = {"alpha": 0.5, "layers": [1, 2], "name": "x"}


def test_run_folder_has_its_rooms(tmp_path):
    with Run(tmp_path / "r", CONFIG) as run:
        assert not run.resumed
        run.log(step=1, loss=0.5)
        assert run.metrics() == [{"step": 1, "loss": 0.5}]
        assert run.checkpoints.is_dir()
        assert run.figures.is_dir()
    assert json.loads((tmp_path / "r" / "config.json").read_text()) == CONFIG
    assert json.loads((tmp_path / "r" / "environment.json").read_text())["cores"] >= 1


def test_same_settings_resume(tmp_path):
    with Run(tmp_path, CONFIG) as run:
        run.log(step=1)
    with Run(tmp_path, {**CONFIG, "layers": (1, 2)}) as run:
        assert run.resumed
        run.log(step=2)
        assert [line["step"] for line in run.metrics()] == [1, 2]


def test_other_settings_are_refused_with_the_keys(tmp_path):
    Run(tmp_path, CONFIG).close()
    with pytest.raises(InputError) as caught:
        Run(tmp_path, {"alpha": 0.6, "layers": [1, 2], "name": "x", "new": 1})
    assert "alpha was 0.5, now 0.6, new was None, now 1" in str(caught.value)
    assert "layers" not in str(caught.value)
    Run(tmp_path, CONFIG).close()  # the refusal keeps no lock


@pytest.mark.parametrize("text", ["{", "[]", "[1]", "\x00"])
def test_damaged_settings_are_named(tmp_path, text):
    Run(tmp_path, CONFIG).close()
    (tmp_path / "config.json").write_text(text)
    with pytest.raises((ArtifactError, InputError), match=r"config.json: is damaged|alpha was None"):
        Run(tmp_path, CONFIG)


def test_foreign_folder_or_file_is_left_alone(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "precious").write_text("mine")
    (tmp_path / "f").write_text("mine")
    for name in ("d", "f"):
        with pytest.raises(ArtifactError, match=f"{name}: holds something that is no run"):
            Run(tmp_path / name, CONFIG)
    assert list((tmp_path / "d").iterdir()) == [tmp_path / "d" / "precious"]


OPEN = """
    import sys, time
    from ninefold.run import Run
    run = Run(sys.argv[1], {"alpha": 0.5, "layers": [1, 2], "name": "x"})
    run.log(step=1)
    print("ready", flush=True)
    time.sleep(60)
"""


def test_lock_keeps_a_second_process_out_and_dies_with_the_first(tmp_path):
    other = start(OPEN, tmp_path)
    try:
        with pytest.raises(ArtifactError, match="is in use by another process"):
            Run(tmp_path, CONFIG)
    finally:
        kill(other)
    with Run(tmp_path, CONFIG) as run:
        assert run.metrics() == [{"step": 1}]


@pytest.mark.parametrize("left", [[], ["checkpoints"], ["environment.json"], [".config.json.0123456789abcdef.tmp"]])
def test_kill_while_opening_leaves_a_run_that_opens(tmp_path, left):
    (tmp_path / ".lock").write_bytes(RUN if left else b"")
    for name in left:
        (tmp_path / name).mkdir() if name == "checkpoints" else (tmp_path / name).write_text("{")
    with Run(tmp_path, CONFIG) as run:
        assert not run.resumed
    assert not list(tmp_path.glob("*.tmp"))
    json.loads((tmp_path / "environment.json").read_text())


def test_run_that_goes_on_never_empties_its_lock(tmp_path, monkeypatch):
    (tmp_path / ".lock").write_bytes(RUN)
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setattr(Path, "write_bytes", lambda path, _: pytest.fail(f"{path.name} was written again"))
    Run(tmp_path, CONFIG).close()


@pytest.mark.parametrize(("torn", "kept"), [('{"step": 2, "lo', [1]), ("", [1]), ('{"step": 2}\n', [1, 2])])
def test_torn_last_line_is_cut_off(tmp_path, torn, kept):
    with Run(tmp_path, CONFIG) as run:
        run.log(step=1)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(torn)
    with Run(tmp_path, CONFIG) as run:
        run.log(step=3)
        assert [line["step"] for line in run.metrics()] == [*kept, 3]


def test_damaged_line_is_named(tmp_path):
    with Run(tmp_path, CONFIG) as run:
        (tmp_path / "metrics.jsonl").write_text("}{\n")
        with pytest.raises(ArtifactError, match=r"metrics.jsonl: is damaged"):
            run.metrics()


def test_rewind_forgets_what_came_after_a_checkpoint(tmp_path):
    with Run(tmp_path, CONFIG) as run:
        for step in range(4):
            run.log(step=step)
        run.rewind(9)
        assert len(run.metrics()) == 4
        run.rewind(2)
        run.log(step="again")
        assert [line["step"] for line in run.metrics()] == [0, 1, "again"]
        run.rewind(0)
        assert run.metrics() == []


def test_lines_are_json_for_any_reader(tmp_path):
    with Run(tmp_path, CONFIG) as run:
        run.log(loss=float("nan"), best=float("inf"), mean=np.float32(0.5), each=np.arange(2), text="ä\n")

    def refuse(word):
        raise ValueError(word)

    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=refuse) == {
        "loss": None, "best": None, "mean": 0.5, "each": [0, 1], "text": "ä\n",
    }  # fmt: skip


def test_environment_names_no_person_or_place():
    text = json.dumps(environment())
    assert json.loads(text)["libraries"]["numpy"] == np.__version__
    assert json.loads(text)["python"] == platform.python_version()
    for secret in (str(Path.home()), str(Path.cwd()), str(Path(__file__).parents[2]), platform.node()):
        assert secret not in text
    values = [value for value in environment().values() if isinstance(value, str)]
    assert not any("/" in value for value in values if "model" not in value)
    assert all(getpass.getuser() not in value.split() for value in values)
