"""What several tests of merging, and those of the verbs, stand on."""

from __future__ import annotations

import json

import pytest
import torch
from tswitch.evaluation._evaluate import Bench
from tswitch.models._finetune import FinetuneConfig, finetune

from . import tiny
from .checkpoints import BASE, MODELS, save_folder
from .verbs import STEPS, run


@pytest.fixture
def folders(tmp_path):
    """A base in two shards and three models, each in another layout."""
    base = save_folder(tmp_path / "base", BASE, shards=2)
    first = save_folder(tmp_path / "m0", MODELS[0], shards=3)
    second = save_folder(tmp_path / "m1", MODELS[1])
    (tmp_path / "m2").mkdir()
    torch.save(MODELS[2], tmp_path / "m2" / "pytorch_model.bin")
    return base, [first, second, tmp_path / "m2"]


@pytest.fixture(scope="session")
def tuned_tasks(tmp_path_factory):
    """A tiny base, three tiny tasks, and models fine-tuned on them for real; read only."""
    folder = tmp_path_factory.mktemp("tasks")
    base = tiny.base(folder / "base")
    tasks = {
        "one": tiny.task("one", ("fruit", "tool")),
        "two": tiny.task("two two", ("tool", "sea")),
        "three": tiny.task("three, three", ("sea", "fruit")),
    }
    config = FinetuneConfig(steps=60, lr=5e-3, head_lr=5e-2, batch=16)
    return base, tasks, {name: finetune(base, task, folder / name, config) for name, task in tasks.items()}


@pytest.fixture(scope="module")
def three_tasks(tuned_tasks):
    """A bench of three tiny tasks, and its base."""
    base, tasks, folders = tuned_tasks
    return Bench(base, tasks, folders), base


@pytest.fixture(scope="module")
def two_tasks(tuned_tasks):
    """A bench of two tiny tasks, and its base."""
    base, tasks, folders = tuned_tasks
    names = ("one", "two")
    return Bench(base, {name: tasks[name] for name in names}, {name: folders[name] for name in names}), base


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A base, two tasks as CSV files, models fine-tuned on them, and their switches with query sets: by the verbs."""
    folder = tmp_path_factory.mktemp("cli")
    tiny.base(folder / "base")
    (folder / "switches").mkdir()
    for name, classes in (("things", ("fruit", "tool")), ("places", ("sea", "fruit"))):
        rows = tiny.csv(folder / f"{name}.csv", classes, rows=120)
        for words in (
            ["finetune", folder / "base", "--csv", rows, *STEPS, "-o", folder / name],
            ["compress", folder / "base", folder / name, "-o", folder / "switches" / name],
            ["query-set", folder / "base", folder / "switches" / name, "--csv", rows, "--samples", "20"],
        ):
            assert run(words, pytest.MonkeyPatch())[0] == 0
    return folder


@pytest.fixture
def tswitch(monkeypatch, capsys):
    """Runs a verb that must succeed, with --json; returns what it printed."""

    def call(*words, plain=False):
        status, output, errors = run([*words, *([] if plain else ["--json"])], monkeypatch, capsys)
        assert status == 0, errors
        return output if plain else json.loads(output)

    return call


@pytest.fixture
def refused(monkeypatch, capsys):
    """Runs a verb that must refuse with status 2 and one line; returns the line."""

    def call(*words):
        status, output, errors = run(words, monkeypatch, capsys)
        assert (status, output) == (2, ""), errors
        assert len(errors.splitlines()) == 1, errors
        assert errors.startswith("error: ")
        return errors

    return call
