"""The run folder of the stages: what a kill leaves behind, and what the next call makes of it."""

from __future__ import annotations

import pytest
import torch
from ninefold.run import Run
from tokenprune import FTPConfig, SearchConfig, TokenPruner, TrainConfig
from tokenprune.pruner import _pipeline
from tokenprune.pruner._pipeline import Pipeline


class Killed(BaseException):
    pass


@pytest.mark.parametrize("name", ["search", "train"])
def test_a_kill_before_a_stages_first_checkpoint_leaves_no_line_twice(name, model, scored, tmp_path, monkeypatch):
    monkeypatch.setattr(Pipeline, "_picture", lambda self: None)

    def stages(folder):
        with Run(folder, {}) as run:
            made = TokenPruner(model, FTPConfig(target_sparsity=0.4, router="dynamic", seed=2))
            Pipeline(run, made, scored, scored, search=SearchConfig(population=5, generations=1),
                     train=TrainConfig(steps=3)).stages(["search", "train"])  # fmt: skip
            return run.metrics()

    once = stages(tmp_path / "once")

    place, attribute = {"search": (_pipeline, "write_text"), "train": (_pipeline.artifacts, "save")}[name]
    write = getattr(place, attribute)

    def killed(path, *words, **more):
        if path.stem == name:
            raise Killed
        return write(path, *words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(place, attribute, killed)
        with pytest.raises(Killed):
            stages(tmp_path / "killed")
    assert stages(tmp_path / "killed") == once


def test_a_kill_between_two_starts_of_training_goes_on_to_the_same_choice(model, scored, tmp_path, monkeypatch):
    monkeypatch.setattr(Pipeline, "_picture", lambda self: None)
    write = _pipeline.artifacts.save

    def stages(folder):
        with Run(folder, {}) as run:
            made = TokenPruner(model, FTPConfig(target_sparsity=0.4, router="dynamic", seed=2))
            Pipeline(run, made, scored, scored, search=SearchConfig(), train=TrainConfig(steps=3, check=1),
                     validation=scored, starts=("static", "random")).stages(["train"])  # fmt: skip
            made = TokenPruner.from_pretrained(folder / "pruner", model)
            return run.metrics(), made.metrics["train validated"], made.net.state_dict()

    def killed(path, *words, **more):
        if path.stem == "train-from-random":
            raise Killed
        return write(path, *words, **more)

    lines, chosen, net = stages(tmp_path / "once")
    assert {line["stage"] for line in lines} == {"train from static", "train from random"}
    best = min(chosen["kl from static"], chosen["kl from random"])
    assert chosen["kl"] == best == chosen[f"kl from {chosen['start']}"]
    with monkeypatch.context() as patch:
        patch.setattr(_pipeline.artifacts, "save", killed)
        with pytest.raises(Killed):
            stages(tmp_path / "killed")
    found = stages(tmp_path / "killed")
    assert found[:2] == (lines, chosen)
    assert all(torch.equal(found[2][name], one) for name, one in net.items())
