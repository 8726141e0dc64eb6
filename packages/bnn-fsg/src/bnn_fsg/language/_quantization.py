"""Ternary layers of a BitNet checkpoint, read by the rule of its `quantization_config` (BitNetQuantConfig).

    linear_class   quantization_mode   weights in the file               output
    autobitlinear  online              float; made ternary by mean |W|   mean |W| * T x
    autobitlinear  offline             T as float, or packed in uint8    weight_scale * T x
    bitlinear      (not used)          T packed in uint8                 T x / weight_scale

With `use_rms_norm` each layer normalises its input first and has a `rms_norm.weight`. A packed uint8 (outputs / 4,
inputs) has four rows in each: bits 2 i and 2 i + 1 of row r are T + 1 of row i * outputs / 4 + r.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ninefold.errors import InputError

from bnn_fsg.language._ternary import TernaryLinear

_CLASSES, _MODES = ("autobitlinear", "bitlinear"), ("offline", "online")
_NOT_LINEAR = {"model.embed_tokens", "embed_tokens", "model.norm", "norm"}
ONLINE = {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online"}


@dataclass(frozen=True)
class Quantization:
    """How the linear layers of a checkpoint are stored and applied; names as in transformers' BitNetQuantConfig."""

    linear_class: str = "bitlinear"
    quantization_mode: str = "offline"
    use_rms_norm: bool = False
    rms_norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        if self.linear_class not in _CLASSES:
            raise _wrong("linear_class", self.linear_class, " or ".join(_CLASSES))
        if self.quantization_mode not in _MODES:
            raise _wrong("quantization_mode", self.quantization_mode, " or ".join(_MODES))
        if not isinstance(self.use_rms_norm, bool):
            raise _wrong("use_rms_norm", self.use_rms_norm, "true or false")
        if type(self.rms_norm_eps) not in (int, float) or not 0 < self.rms_norm_eps < 1:
            raise _wrong("rms_norm_eps", self.rms_norm_eps, "a number between 0 and 1")

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Quantization:
        """The rule of a `config.json`; InputError names a method, class or mode that is not BitNet's."""
        found = config.get("quantization_config")
        if found is None:
            hint = f"transformers runs such a checkpoint in float; if it was trained with ternary weights, add {ONLINE}"
            raise _wrong("", "none", 'quant_method "bitnet"', hint)
        if not isinstance(found, Mapping):
            raise _wrong("", found, "a JSON object")
        if found.get("quant_method") != "bitnet":
            raise _wrong("quant_method", found.get("quant_method"), "bitnet")
        left = found.get("modules_to_not_convert")
        if left is not None and (
            not isinstance(left, list) or "lm_head" not in left or not {*map(str, left)} <= _NOT_LINEAR | {"lm_head"}
        ):
            raise _wrong("modules_to_not_convert", left, "lm_head and no other linear layer")
        names = ("linear_class", "quantization_mode", "use_rms_norm", "rms_norm_eps")
        return cls(**{name: found[name] for name in names if name in found})

    @property
    def online(self) -> bool:
        """Whether the file has the float weights that training left."""
        return self.linear_class == "autobitlinear" and self.quantization_mode == "online"

    def layer(self, name: str, size: tuple[int, int], tensor: Any, **how: Any) -> TernaryLinear:
        """The layer `name` of size (outputs, inputs).

        Args:
            name: the module's name in the checkpoint.
            size: (outputs, inputs).
            tensor: gives a tensor of the checkpoint by name, or None.
            how: threads and backend.
        Raises: InputError naming a tensor that is missing or does not fit the rule.
        """
        weight, at = tensor(f"{name}.weight"), f"tensor {name}.weight"
        if weight is None:
            raise InputError(at, got="missing", expected=f"shape {size}")
        if self.online:
            _fits(at, weight, size, "f")
            return TernaryLinear.of_floats(weight, **how)
        if weight.dtype == np.uint8:
            _fits(at, weight, (-(-size[0] // 4), size[1]), "u", divisible=size[0])
            weight = np.concatenate([weight >> np.uint8(2 * i) & np.uint8(3) for i in range(4)]).astype(np.int8) - 1
        elif self.linear_class == "bitlinear":
            raise InputError(at, got=str(weight.dtype), expected="packed uint8, as bitlinear stores it")
        else:
            _fits(at, weight, size, "f")
        if not np.isin(weight, (-1, 0, 1)).all():
            raise InputError(at, got="other numbers", expected=f"-1, 0 and 1 for {self.linear_class}, offline")
        return TernaryLinear.of_ternary(weight, self._scale(name, tensor), **how)

    def _scale(self, name: str, tensor: Any) -> float:
        scale, at = tensor(f"{name}.weight_scale"), f"tensor {name}.weight_scale"
        if scale is None:
            raise InputError(at, got="missing", expected="shape (1,)")
        _fits(at, scale, (1,), "f")
        value = float(scale[0])
        if not np.isfinite(value) or value == 0:
            raise InputError(at, got=value, expected="a finite number other than 0")
        return 1 / value if self.linear_class == "bitlinear" else value


def _fits(at: str, found: np.ndarray, shape: tuple[int, ...], kind: str, *, divisible: int = 4) -> None:
    if found.shape != shape or found.dtype.kind != kind or divisible % 4:
        words = "float" if kind == "f" else "uint8"
        expected = f"{words} of shape {shape}" if divisible % 4 == 0 else f"a multiple of 4 rows, not {divisible}"
        raise InputError(at, got=f"{found.dtype} of shape {found.shape}", expected=expected)


def _wrong(name: str, got: object, expected: str, hint: str | None = None) -> InputError:
    got = "null" if got is None else got
    return InputError(f"quantization_config{name and '.'}{name}", got=got, expected=expected, hint=hint)
