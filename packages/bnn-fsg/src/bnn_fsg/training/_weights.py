"""Trained weights of others as a start: `.pth` files as PyTorch projects publish them, and `.safetensors`."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ninefold.errors import ArtifactError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

_INSIDE = ("state_dict", "model", "net")  # where training scripts put the parameters in what they save
_SHOWN = 3
_RULES = [  # other names of the same layers: MetaQuant's and FSG's networks, torchvision's and timm's ResNets
    ("downsample.", "shortcut."), ("linear.", "fc."), ("classifier.", "fc."), ("head.fc.", "fc."),
]  # fmt: skip
_OPTIONAL = "bn_last"  # MetaQuant's networks have this BatchNorm, the published checkpoints have not


def load_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """Load published weights into `model`, which is changed and returned.

    Args:
        model: float or binarised; its parameter names must be those of the file, but for `downsample` or `shortcut`,
            `linear`, `classifier`, `head.fc` or `fc`. A last BatchNorm (`bn_last`) that the file has not becomes an
            identity.
        path: `.pth`, `.pt` or `.tar`, a state dict or a dict that holds one as state_dict, model or net (read with
            `weights_only`: a file with code in it is refused), or `.safetensors`. A prefix "module." is dropped.
    Raises:
        ArtifactError: names the file, and what is damaged, missing, too much or of another shape.

    Examples:
        >>> import torch
        >>> from bnn_fsg import load_weights
        >>> from torch import nn

        >>> trained, fresh = nn.Sequential(nn.Linear(4, 3)), nn.Sequential(nn.Linear(4, 3))
        >>> torch.save({"state_dict": {f"module.{name}": one for name, one in trained.state_dict().items()}}, "net.pth")
        >>> model = load_weights(fresh, "net.pth")
        >>> torch.equal(model[0].weight, trained[0].weight)
        True
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(path, "is not there" if not path.exists() else "is not a file")
    state = _unwrapped(_read(path))
    if not state:
        raise ArtifactError(path, "holds no tensors by name: a state dict is expected")
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    own = model.state_dict()
    state = {_own_name(name, own): tensor for name, tensor in state.items()}
    lacking = isinstance(getattr(model, _OPTIONAL, None), nn.BatchNorm1d)
    if lacking and not any(name.startswith(f"{_OPTIONAL}.") for name in state):
        setattr(model, _OPTIONAL, nn.Identity())
        own = model.state_dict()
    optional = {name for name in own if name.endswith("num_batches_tracked")}
    faults = [f"{name} is missing" for name in own if name not in state and name not in optional]
    faults += [f"{name} is not in the model" for name in state if name not in own]
    for name, tensor in state.items():
        if name in own and tensor.shape != own[name].shape:
            faults.append(f"{name} is {list(tensor.shape)}, not {list(own[name].shape)}")
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ArtifactError(path, f"does not fit the model: {', '.join(faults[:_SHOWN])}{more}")
    model.load_state_dict(state, strict=False)
    return model


def _own_name(name: str, own: Mapping[str, Tensor]) -> str:
    """The model's name of a parameter that the file calls `name`."""
    if name in own:
        return name
    others = (name.replace(theirs, ours) for theirs, ours in _RULES if f".{theirs}" in f".{name}")
    return next((other for other in others if other in own), name)


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(path, f"holds code or other objects than tensors, which are not run ({reason})") from None
    except (OSError, RuntimeError, EOFError, SafetensorError, ValueError) as error:
        raise ArtifactError(path, f"is truncated or damaged ({str(error).splitlines()[0]})") from None


def _unwrapped(found: Any) -> dict[str, Tensor]:
    """The tensors by name of a file's content, empty if there are none."""
    if not isinstance(found, Mapping):
        return {}
    for key in _INSIDE:
        if isinstance(found.get(key), Mapping):
            return _unwrapped(found[key])
    return {name: one for name, one in found.items() if isinstance(one, Tensor)}
