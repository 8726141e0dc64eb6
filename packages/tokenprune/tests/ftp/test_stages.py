"""The run folder of the stages: what a kill leaves behind, and what the next call makes of it."""

from __future__ import annotations

import pytest
import torch
from ninefold.run import Run
from tokenprune.ftp import PublishedConfig, PublishedPruner, SearchConfig, TrainConfig, _stages
from tokenprune.ftp._stages import Stages, Texts


class Killed(BaseException):
    pass


@pytest.mark.parametrize("name", ["search", "train", "refine"])
def test_a_kill_before_a_stages_first_checkpoint_leaves_no_line_twice(name, model, scored, tmp_path, monkeypatch):
    monkeypatch.setattr(Stages, "_picture", lambda self: None)

    def stages(folder):
        with Run(folder, {}) as run:
            made = PublishedPruner(model, PublishedConfig(target_sparsity=0.4, seed=2))
            texts = Texts(scored.part(0, 2), scored.part(2, 4), scored.part(4, 5), scored.part(5, 6))
            made = Stages(run, made, texts, search=SearchConfig(population=5, generations=1),
                          train=TrainConfig(steps=12, check=4)).finish()  # fmt: skip
            return run.metrics(), made.schedule, made.metrics, made.net.state_dict()

    once = stages(tmp_path / "once")

    place, attribute = (_stages.artifacts, "save") if name == "train" else (_stages, "write_text")
    write = getattr(place, attribute)

    def killed(path, *words, **more):
        if path.stem == name:
            raise Killed
        return write(path, *words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(place, attribute, killed)
        with pytest.raises(Killed):
            stages(tmp_path / "killed")
    again = stages(tmp_path / "killed")
    assert again[:3] == once[:3]
    assert all(torch.equal(again[3][name], one) for name, one in once[3].items())
    assert {"pruner", "training-free"} == set(once[2]["held_out"])
