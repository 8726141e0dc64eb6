"""Weights of others: what is read, and what is refused by name."""

from __future__ import annotations

import pickle

import pytest
import torch
from bnn_fsg import load_weights
from bnn_fsg.layers._nets import build
from ninefold.errors import ArtifactError
from safetensors.torch import save_file


def trained():
    torch.manual_seed(3)
    return build("resnet8", 10, 3, 4)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"net": s, "acc": 91.5, "epoch": 3}, lambda s: {"model": s}])
def test_weights_in_any_usual_wrapping_are_read(wrap, tmp_path):
    source = trained()
    state = {f"module.{name}": one for name, one in source.state_dict().items()}
    torch.save(wrap(state), tmp_path / "r.pth")
    other = load_weights(build("resnet8", 10, 3, 4), tmp_path / "r.pth")
    assert all(torch.equal(one, other.state_dict()[name]) for name, one in source.state_dict().items())


def test_safetensors_are_read(tmp_path):
    source = trained()
    save_file(source.state_dict(), tmp_path / "r.safetensors")
    other = load_weights(build("resnet8", 10, 3, 4), tmp_path / "r.safetensors")
    assert torch.equal(other.fc.weight, source.fc.weight)


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_pth_with_code_is_refused_and_nothing_runs(tmp_path, capsys):
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": Evil()}, path)
    with pytest.raises(ArtifactError, match=r"evil\.pth: holds code or other objects than tensors"):
        load_weights(trained(), path)
    path.write_bytes(pickle.dumps(Evil(), 2))
    with pytest.raises(ArtifactError, match=r"evil\.pth: holds code"):
        load_weights(trained(), path)
    assert "run" not in capsys.readouterr().out


def test_weights_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "r.pth"
    state = trained().state_dict()
    state["fc.weight"] = torch.zeros(7, 16)
    state["extra"] = state.pop("conv1.weight")
    torch.save(state, path)
    message = r"conv1\.weight is missing, extra is not in the model, fc\.weight is \[7, 16\], not \[10, 16\]"
    with pytest.raises(ArtifactError, match=message):
        load_weights(trained(), path)
    torch.save([1, 2], path)
    with pytest.raises(ArtifactError, match="holds no tensors by name"):
        load_weights(trained(), path)


def test_damaged_and_missing_files_are_named(tmp_path):
    path = tmp_path / "r.pth"
    torch.save(trained().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ArtifactError, match=r"r\.pth: is truncated or damaged"):
        load_weights(trained(), path)
    with pytest.raises(ArtifactError, match="nowhere"):
        load_weights(trained(), tmp_path / "nowhere.pth")
