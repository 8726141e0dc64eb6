"""An enlarged vocabulary: its rows are kept as rows, in the folder, in an export and in a live bank."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from torch import nn
from tswitch import Checkpoint, Switch, SwitchBank, compress, export

from .models import write

ROWS, WIDTH, MORE = 300, 64, 8


def states():
    gen = torch.Generator().manual_seed(0)
    base = {"embed.weight": torch.randn(ROWS, WIDTH, generator=gen), "out.weight": torch.randn(4, WIDTH, generator=gen)}
    tuned = {name: value + 0.1 * torch.randn(value.shape, generator=gen) for name, value in base.items()}
    rows = torch.randn(MORE, WIDTH, generator=gen)
    return base, tuned | {"embed.weight": torch.cat([tuned["embed.weight"], rows])}, tuned, rows


@pytest.fixture
def folders(tmp_path):
    base, larger, _, _ = states()
    write(tmp_path / "base", base)
    (tmp_path / "base" / "config.json").write_text(json.dumps({"model_type": "test", "vocab_size": ROWS}))
    write(tmp_path / "tuned", larger)
    return tmp_path


def test_added_rows_cost_their_own_bytes_and_nothing_else_changes(folders):
    base, _, tuned, rows = states()
    write(folders / "same", tuned)
    with pytest.raises(InputError, match=r"shape: embed\.weight \(300, 64\) became \(308, 64\)"):
        Switch.from_checkpoints(folders / "base", folders / "tuned", alpha=0.6)
    switch = compress(folders / "base", folders / "tuned", folders / "s", on_mismatch="dense", alpha=0.6)
    plain = compress(folders / "base", folders / "same", folders / "p", alpha=0.6)
    assert torch.equal(switch.rows["embed.weight"], rows)
    for name in base:
        assert torch.equal(switch.dequantise(name), plain.dequantise(name))
    assert rows.nbytes <= switch.nbytes - plain.nbytes <= rows.nbytes + 512
    switch.verify()
    assert json.loads((folders / "s" / "switch_config.json").read_text())["format_version"] == 2
    assert json.loads((folders / "p" / "switch_config.json").read_text())["format_version"] == 1
    memory = Switch.from_checkpoints(base, states()[1], on_mismatch="dense", alpha=0.6)
    memory.save_pretrained(folders / "m")
    assert (folders / "m" / "switch.safetensors").read_bytes() == (folders / "s" / "switch.safetensors").read_bytes()


def test_an_export_has_the_rows_and_the_vocabulary_size(folders):
    base, _, _, rows = states()
    switch = compress(folders / "base", folders / "tuned", folders / "s", on_mismatch="dense", alpha=0.6)
    export(folders / "base", folders / "s", folders / "out")
    got = Checkpoint.open(folders / "out").read("embed.weight")
    assert torch.equal(got[ROWS:], rows)
    np.testing.assert_allclose(got[:ROWS], base["embed.weight"] + switch.dequantise("embed.weight"), atol=1e-6)
    assert json.loads((folders / "out" / "config.json").read_text())["vocab_size"] == ROWS + MORE
    with pytest.raises(InputError, match=r"embed\.weight.*one switch, weight 1"):
        export(folders / "base", folders / "s", folders / "half", weights=[0.5])


class Net(nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.embed, self.out = nn.Embedding(rows, WIDTH), nn.Linear(WIDTH, 4, bias=False)

    def forward(self, ids):
        return self.out(self.embed(ids))


def test_a_live_model_with_room_for_the_rows_takes_them():
    base, larger, _, rows = states()
    switch = Switch.from_checkpoints(base, larger, on_mismatch="dense", alpha=0.6)
    small = Net(ROWS)
    small.load_state_dict(base)
    with pytest.raises(InputError, match=r"no room in embed\.weight \(300, 64\).*resize_token_embeddings"):
        SwitchBank(small).add("a", switch)
    model = Net(ROWS + MORE)
    model.load_state_dict(base | {"embed.weight": torch.cat([base["embed.weight"], torch.zeros(MORE, WIDTH)])})
    bank = SwitchBank(model)
    bank.add("a", switch)
    before = model.embed.weight.detach().clone()
    with bank.use("a"):
        assert torch.equal(model.embed.weight[ROWS:], rows)
        want = base["embed.weight"] + switch.dequantise("embed.weight")
        np.testing.assert_allclose(model.embed.weight[:ROWS].detach(), want, atol=1e-6)
    assert torch.equal(model.embed.weight, before)
    with torch.no_grad():
        model.embed.weight[3] += 1
    with pytest.raises(InputError, match=r"other values in embed\.weight"):
        SwitchBank(model).add("a", switch)
