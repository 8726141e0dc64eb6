"""Training: it learns, it is deterministic, and noise is what the link's noise is."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from ninefold.errors import ArtifactError, InputError
from ninefold.run import Run
from ninefold_testing import warm
from semcom.datasets import load
from semcom.models import HubMae, JsccCoder, JsccConfig, MaeConfig, SmallMae
from semcom.paper import MaeRecipe, finetune, train_mae
from semcom.paper._training import noisy_tokens
from semcom.phy import Channel, reals_to_symbols, symbols_to_reals
from semcom.training import JsccRecipe, train_jscc

TINY = MaeConfig(32, 8, 16, 1, 2, 16, 1, 2)
STEPS = {"steps": 30, "batch": 16, "lr": 3e-3, "save_every": 10}


@pytest.fixture(scope="module")
def pictures():
    return load("embedded")


@pytest.mark.parametrize("loss", ["mse", "log"])
def test_autoencoder_learns(loss, pictures, tmp_path):
    with Run(tmp_path / "run", {}) as run:
        train_mae(pictures, TINY, MaeRecipe(**STEPS, loss=loss), run)
        first, _, last = run.metrics()
    assert last["loss"] < first["loss"]
    assert last["psnr"] > first["psnr"]


@pytest.mark.parametrize(
    ("kind", "recipe"), [("adjscc", {}), ("deepjscc", {}), ("adjscc", {"loss": "log", "bfloat16": True})]
)
def test_coders_learn(kind, recipe, pictures, tmp_path):
    stages = 1 if recipe else 0
    with Run(tmp_path / "run", {}) as run:
        model = train_jscc(pictures, JsccConfig(kind, 8, 16, stages), JsccRecipe(**STEPS, **recipe), run)
        first, _, last = run.metrics()
    assert last["psnr"] > first["psnr"] + 0.5
    assert all(one.dtype == torch.float32 for one in model.parameters())


def test_coder_goes_on_from_given_weights_and_new_stages_add_a_bias_at_first(pictures, tmp_path):
    config, recipe = JsccConfig("adjscc", 8, 16, 1), JsccRecipe(steps=1, batch=4, lr=0.0, weight_decay=0.0)
    torch.manual_seed(5)
    start = JsccCoder(JsccConfig("adjscc", 8, 16)).eval()
    inner, snr = torch.rand(2, 16, 8, 8), torch.tensor([[0.0], [0.9]])
    with Run(tmp_path / "run", {}) as run:
        model = train_jscc(pictures, config, recipe, run, start)
        for name, one in start.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], one)
        for stage in (*model.encoder_stages, *model.decoder_stages):
            torch.testing.assert_close(stage(inner, snr), inner + stage.second.bias[:, None, None])
        with pytest.raises(InputError, match="fewer stages"):
            train_jscc(pictures, config, recipe, run, JsccCoder(JsccConfig("adjscc", 8, 24)))


def test_fine_tuning_lowers_the_error_and_can_leave_the_encoder(pictures, tmp_path):
    torch.manual_seed(0)
    model = SmallMae(TINY)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    with Run(tmp_path / "run", {}) as run:
        finetune(model, pictures, MaeRecipe(**STEPS, freeze_encoder=True), run)
        first, _, last = run.metrics()
    assert last["kept"] + last["masked"] < first["kept"] + first["masked"]
    changed = {name for name, one in model.state_dict().items() if not torch.equal(one, before[name])}
    assert "head.weight" in changed
    assert not any(name.startswith(("blocks.", "patch_embed.", "cls")) for name in changed)
    with Run(tmp_path / "other", {}) as run, pytest.raises(InputError, match="the model's size"):
        finetune(model, pictures[:, :24, :24], MaeRecipe(**STEPS), run)


SECOND = """
import torch
from ninefold.distributed import joined
from semcom.datasets import load
from semcom.models import MaeConfig, SmallMae
from semcom.paper import MaeRecipe, finetune

torch.set_num_threads(1)
model = SmallMae(MaeConfig(32, 8, 16, 1, 2, 16, 1, 2))  # of other weights: those of the first process count
with joined():
    finetune(model, load("embedded"), MaeRecipe(steps=4, batch=6, lr=1e-2, save_every=2), None)
"""


def test_two_processes_go_on_where_one_was_killed_and_give_what_one_gives(pictures, tmp_path, monkeypatch):
    from ninefold.distributed import joined
    from semcom.training import _loop

    def tuned(folder):
        torch.manual_seed(7)
        model = SmallMae(TINY)
        with Run(folder, {}) as run:
            finetune(model, pictures, MaeRecipe(steps=4, batch=6, lr=1e-2, save_every=2), run)
            return model, run.metrics()

    expected, lines = tuned(tmp_path / "whole")
    saved = _loop._save

    def save_and_die(*args):
        saved(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(_loop, "_save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path / "two")
    monkeypatch.setattr(_loop, "_save", saved)
    ring = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(29_000 + os.getpid() % 2000)}
    for name, value in ring.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RANK", "0")
    with (tmp_path / "said").open("w") as said:
        second = warm().start(["-c", SECOND], said.fileno(), said.fileno(), RANK="1")
    with joined() as (rank, world):
        assert (rank, world) == (0, 2)
        found, again = tuned(tmp_path / "two")
    assert second.wait(200) == 0, (tmp_path / "said").read_text()
    for name, one in expected.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], one, atol=1e-5, rtol=0)
    assert [line["step"] for line in again] == [2, 4]
    assert again[1]["loss"] == pytest.approx(lines[1]["loss"], abs=1e-5)


def test_batch_that_processes_cannot_share_is_refused(monkeypatch):
    from semcom.training import _loop

    monkeypatch.setattr(_loop, "place", lambda: (1, 3))
    assert _loop.own_rows(9) == slice(3, 6)
    with pytest.raises(InputError, match="multiple of the 3 processes"):
        _loop.own_rows(8)


def test_models_of_transformers_can_be_fine_tuned(tmp_path):
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    config = ViTMAEConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8,
        decoder_hidden_size=16, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
    )  # fmt: skip
    model = HubMae(ViTMAEForPreTraining(config))
    before = model.model.vit.layernorm.weight.clone()
    with Run(tmp_path / "run", {}) as run:
        finetune(model, load("embedded"), MaeRecipe(steps=4, batch=8, lr=1e-3), run)
    assert not torch.equal(before, model.model.vit.layernorm.weight)


def test_noise_in_training_is_the_noise_of_the_link(rng):
    tokens = torch.from_numpy(rng.standard_normal((2, 10, 4000)).astype(np.float32))
    ours = noisy_tokens(
        tokens, torch.tensor([3.0, 9.0]), torch.tensor([False, False]), torch.Generator().manual_seed(0)
    )
    sent = reals_to_symbols(tokens.numpy().reshape(2, -1))
    link = symbols_to_reals(Channel().apply(sent, np.array([3.0, 9.0]), rng).symbols).reshape(tokens.shape)
    for row in range(2):
        errors = [np.mean((one[row] - tokens[row].numpy()) ** 2) for one in (ours.numpy(), link)]
        assert errors[0] == pytest.approx(errors[1], rel=0.03)
    clean = noisy_tokens(tokens, torch.tensor([3.0, 9.0]), torch.tensor([True, True]), torch.Generator())
    torch.testing.assert_close(clean, tokens)


def test_checkpoint_of_another_model_is_refused(pictures, tmp_path):
    with Run(tmp_path / "run", {}) as run:
        train_mae(pictures, TINY, MaeRecipe(steps=1, batch=4), run)
        with pytest.raises(ArtifactError, match="another model"):
            train_jscc(pictures, JsccConfig("adjscc", 8, 16), JsccRecipe(steps=2, batch=4), run)
    with pytest.raises(InputError, match="steps"):
        JsccRecipe(steps=0)
    with pytest.raises(InputError, match="loss"):
        MaeRecipe(**STEPS, loss="l1")
    with pytest.raises(InputError, match="loss"):
        JsccRecipe(**STEPS, loss="l1")
