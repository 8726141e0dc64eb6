"""A pruner's folder: what comes back, what is refused, and what it says was achieved."""

from __future__ import annotations

import json

import pytest
import torch
from ninefold.errors import ArtifactError
from tokenprune import FTPConfig, TokenPruner, tiny_model
from tokenprune.pruner import _files
from tokenprune.pruner._base_model import base_of
from tokenprune.routers._observation_router import Observation

SCHEDULE = (0.0, 0.25, 0.6, 0.4)
GREEDY = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}


@pytest.mark.parametrize("router", ["static", "dynamic", "one_pass"])
def test_pruner_comes_back_from_disk_bit_for_bit(model, ids, tmp_path, router):
    pruner = TokenPruner(model, FTPConfig(router=router, seed=3), SCHEDULE)
    pruner.history, pruner.metrics = [{"generation": 0, "fitness": 1.0}], {"kl": 0.5}
    pruner.save_pretrained(tmp_path / "p")
    again = TokenPruner.from_pretrained(tmp_path / "p", model)
    assert (again.config, again.schedule, again.history, again.metrics) == (
        pruner.config, pruner.schedule, pruner.history, pruner.metrics,
    )  # fmt: skip
    with torch.no_grad():
        assert torch.equal(again.executor().logits(ids)[0], pruner.executor().logits(ids)[0])
    assert json.loads((tmp_path / "p" / "ftp_config.json").read_text())["about"]["base"]["blocks"] == 4


def test_folder_of_a_setting_that_is_no_more_is_refused(model, tmp_path):
    pruner = TokenPruner(model, FTPConfig(router="static"))
    about = {
        "config": {**pruner.config.to_dict(), "skipped_kv": "project"},
        "schedule": [0.3] * 4,
        "base": base_of(pruner.layout),
    }
    _files.write(tmp_path / "p", about, {}, [], {}, force=False)
    with pytest.raises(ArtifactError, match="skipped_kv"):
        TokenPruner.from_pretrained(tmp_path / "p", model)


def test_a_folder_from_before_scores_lasted_keeps_what_it_kept(model, ids, tmp_path):
    settings = FTPConfig(observation=Observation(window=6, lasting=False))
    pruner = TokenPruner(model, settings, (0.0, 0.25, 0.25, 0.6))
    about = {"config": settings.to_dict(), "schedule": pruner.schedule, "base": base_of(pruner.layout)}
    del about["config"]["observation"]["lasting"]
    _files.write(tmp_path / "p", about, {}, [], {}, force=False)
    again = TokenPruner.from_pretrained(tmp_path / "p", model)
    assert again.config == settings
    assert (again.report(ids).gates == pruner.report(ids).gates).all()
    assert FTPConfig(observation={"window": 6}) == FTPConfig(observation=Observation(window=6))


def test_pruner_of_another_model_is_refused(model, tmp_path):
    TokenPruner(model, FTPConfig()).save_pretrained(tmp_path / "p")
    with pytest.raises(ArtifactError, match="other weights"):
        TokenPruner.from_pretrained(tmp_path / "p", tiny_model(seed=9))
    with pytest.raises(ArtifactError, match="of 4 blocks; this model has 2"):
        TokenPruner.from_pretrained(tmp_path / "p", tiny_model(num_hidden_layers=2))
    with pytest.raises(ArtifactError, match="exists already"):
        TokenPruner(model, FTPConfig()).save_pretrained(tmp_path / "p")


def test_the_same_model_cast_is_taken_with_a_warning(model, ids, tmp_path):
    TokenPruner(model, FTPConfig(seed=3), SCHEDULE).save_pretrained(tmp_path / "p")
    cast = tiny_model(seed=1).bfloat16()
    with pytest.warns(UserWarning, match="in float32; this one is in bfloat16"):
        again = TokenPruner.from_pretrained(tmp_path / "p", cast)
    assert again.schedule == SCHEDULE
    assert again.executor().logits(ids)[0].dtype == torch.bfloat16
    with pytest.raises(ArtifactError, match="other weights"):
        TokenPruner.from_pretrained(tmp_path / "p", tiny_model(seed=1, vocab_size=300).bfloat16())
    packed = tiny_model(seed=1)
    packed.model.layers[0].mlp.up_proj.register_parameter(
        "codes", torch.nn.Parameter(torch.zeros(3, dtype=torch.uint8), requires_grad=False)
    )
    with pytest.warns(UserWarning, match="in packed numbers"):
        TokenPruner.from_pretrained(tmp_path / "p", packed)


def test_one_changed_weight_among_many_is_noticed(tmp_path):
    large = tiny_model(seed=1, hidden_size=256, intermediate_size=512)
    TokenPruner(large, FTPConfig(router="static"), SCHEDULE).save_pretrained(tmp_path / "p")
    with torch.no_grad():
        large.model.layers[2].mlp.up_proj.weight.view(-1)[1] += 1e-3
    with pytest.raises(ArtifactError, match="other weights"):
        TokenPruner.from_pretrained(tmp_path / "p", large)


def test_a_folder_keeps_the_share_that_was_measured(model, scored, tmp_path):
    for schedule, share in (((0.2, 0.3, 0.4, 0.3), 0.0), ((0.1, 0.6, 0.7, 0.2), 0.5)):
        pruner = TokenPruner(model, FTPConfig(router="static", decode="strict"), schedule)
        assert pruner.achieved_sparsity == share
        assert pruner.measure(scored) == share
    pruner = TokenPruner(model, FTPConfig(router="dynamic", gate="argmax", router_start="random"), SCHEDULE)
    assert pruner.achieved_sparsity is None
    measured = pruner.measure(scored)
    kept = pruner.executor().prefill(scored.start(pruner.executor())).kept
    assert measured == pytest.approx(1 - sum(sum(one) for one, _ in kept) / (4 * 6 * 32))
    pruner.save_pretrained(tmp_path / "p")
    about = json.loads((tmp_path / "p" / "ftp_config.json").read_text())["about"]
    assert about["achieved_sparsity"] == about["measured_sparsity"] == measured
    again = TokenPruner.from_pretrained(tmp_path / "p", model)
    assert again.achieved_sparsity == measured
    again.set_sparsity(0.2)
    assert again.achieved_sparsity is None


def test_what_an_argmax_gate_achieves_is_not_made_up(model, tmp_path):
    TokenPruner(model, FTPConfig(router="dynamic", gate="argmax"), SCHEDULE).save_pretrained(tmp_path / "p")
    assert json.loads((tmp_path / "p" / "ftp_config.json").read_text())["about"]["achieved_sparsity"] is None
