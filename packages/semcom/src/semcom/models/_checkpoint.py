"""Public DeepJSCC checkpoints: files of Deep-JSCC-PyTorch, the repository that most users begin with."""

from __future__ import annotations

from pathlib import Path

import torch
from ninefold.errors import ArtifactError
from torch import Tensor

from semcom.models._jscc import JsccCoder, JsccConfig

SUFFIXES = (".pkl", ".pth", ".pt")
_PARTS = {
    **{f"encoder.conv{n + 1}.conv": f"encoder.{n}" for n in range(5)},
    **{f"encoder.conv{n + 1}.prelu.weight": f"slopes.{n}" for n in range(5)},
    **{f"decoder.tconv{n + 1}.transconv": f"decoder.{n}" for n in range(5)},
    **{f"decoder.tconv{n + 1}.activate.weight": f"slopes.{n + 5}" for n in range(4)},
}


def read_checkpoint(path: str | Path) -> JsccCoder:
    """The coder of a checkpoint of Deep-JSCC-PyTorch, in evaluation mode; no code of the file is run.

    Raises:
        ArtifactError: if it cannot be read, or names or shapes of its tensors are not those of that repository; says
            which.
    """
    state = tensors_of(path)
    last = state.get("encoder.conv5.conv.weight")
    channels = last.shape[0] if last is not None and last.ndim else 0
    if channels < 2 or channels % 2 or channels > 1 << 10:
        raise ArtifactError(path, "is no checkpoint of DeepJSCC: its encoder.conv5.conv.weight is missing or odd")
    model = JsccCoder(JsccConfig("deepjscc-sigmoid", channels))
    wanted, found = model.state_dict(), {}
    for name, value in state.items():
        part = name if name in _PARTS else name.rpartition(".")[0]
        own = _PARTS.get(part, "") + name.removeprefix(part)
        if own not in wanted:
            raise ArtifactError(path, f"has a tensor {name!r} that no DeepJSCC of that layout has")
        if value.shape != wanted[own].shape or not value.is_floating_point() or not torch.isfinite(value).all():
            expected = f"finite numbers of shape {tuple(wanted[own].shape)}"
            raise ArtifactError(path, f"has {name!r} of shape {tuple(value.shape)}, not {expected}")
        found[own] = value.float()
    if missing := [name for name in wanted if name not in found]:
        raise ArtifactError(path, f"lacks {len(missing)} tensors, among them that of {missing[0]}")
    model.load_state_dict(found)
    return model.eval()


def tensors_of(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name of a file that PyTorch wrote, without the prefix that training on several devices adds."""
    if not Path(path).is_file():
        raise ArtifactError(path, "is not there")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)  # safe: weights_only never runs code
    except Exception as error:
        raise ArtifactError(path, f"cannot be read as weights ({type(error).__name__})") from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(one, Tensor) for one in state.values()):
        raise ArtifactError(path, "holds other things than tensors by name")
    return {str(name).removeprefix("module."): value for name, value in state.items()}
