"""Linear layers with weights -1, 0 and 1 (two bits each) and int8 inputs: exact sums, one rounding at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
from ninefold.errors import InputError

from bnn_fsg.runtime._layout import LANES, aligned, panels
from bnn_fsg.runtime._native import SETS, chosen, library
from bnn_fsg.runtime._threads import in_turn

_BLOCK = 16  # inputs of a word
_SMALLEST = 1e-5  # as BitNet: no token is scaled by more than 127 / 1e-5
_LONGEST = 1 << 22  # inputs whose sums fit 32 bits


class TernaryLinear:
    """y = scale W x: W of -1, 0 and 1; x rounded to int8 by its token's largest absolute value (arXiv 2402.17764).

    Attributes:
        words: (panels, blocks, 16) uint32, two bits a weight: see `native/ternary.h`.
        outputs, inputs: sizes.
        scale: of W.
        kernels: "amx", "avx512", "avx2", "neon", "plain" or "numpy"; all give the same numbers.

    Examples:
        >>> import numpy as np
        >>> from bnn_fsg import TernaryLinear

        >>> weight = np.array([[1, 0, -1], [1, 1, 1]])
        >>> layer = TernaryLinear.of_ternary(weight, scale=0.5)
        >>> layer(np.array([[127.0, 2.0, 3.0]], np.float32))
        array([[62., 66.]], dtype=float32)
        >>> layer.ternary().tolist()
        [[1, 0, -1], [1, 1, 1]]
    """

    def __init__(
        self, words: np.ndarray, outputs: int, inputs: int, scale: float, *, threads: int = 1, backend: str = "auto"
    ) -> None:
        """Use `of_ternary` or `of_floats`."""
        expected = (-(-outputs // LANES), -(-inputs // _BLOCK), LANES)
        if words.shape != expected or words.dtype != np.uint32:
            got = f"{words.dtype} of shape {words.shape}"
            raise InputError("words", got=got, expected=f"uint32 of shape {expected}")
        if not 1 <= inputs <= _LONGEST or outputs < 1 or not np.isfinite(scale):
            got = f"{outputs} x {inputs}, scale {scale}"
            raise InputError("layer", got=got, expected="sizes from 1, a finite scale")
        self.kernels = chosen(backend)
        self.outputs, self.inputs, self.scale, self.threads = outputs, inputs, float(scale), threads
        self.words = words if self.kernels == "numpy" else aligned(words)
        self._library: Any = library()
        self._matrix: np.ndarray | None = None  # what numpy multiplies by, made when it is first needed

    @classmethod
    def of_ternary(cls, weight: np.ndarray, scale: float = 1.0, **how: Any) -> TernaryLinear:
        """weight (outputs, inputs) of -1, 0 and 1, any dtype. InputError for another number."""
        if weight.ndim != 2 or not np.isin(weight, (-1, 0, 1)).all():
            raise InputError("weight", got=f"shape {weight.shape} or other numbers", expected="a matrix of -1, 0 and 1")
        outputs, inputs = weight.shape
        codes = np.zeros((outputs, -(-inputs // _BLOCK) * _BLOCK), np.uint32)
        codes[:, :inputs] = weight.astype(np.int8) + 1
        by_octet = codes.reshape(outputs, -1, 4, 4)  # input 4 j + b of a block at [j, b]
        words = np.zeros(by_octet.shape[:2], np.uint32)
        for j in range(4):
            for b in range(4):
                words |= by_octet[:, :, j, b] << np.uint32(8 * b + 2 * j)
        return cls(np.ascontiguousarray(panels(words[None])[0]), outputs, inputs, scale, **how)

    @classmethod
    def of_floats(cls, weight: np.ndarray, **how: Any) -> TernaryLinear:
        """weight (outputs, inputs) float: divided by the mean of its absolute values, rounded, cut to -1 and 1."""
        weight = np.asarray(weight, np.float32)
        if not np.isfinite(weight).all():
            raise InputError("weight", got="NaN or infinity", expected="finite values")
        scale = max(float(np.abs(weight).mean(dtype=np.float64)), _SMALLEST)
        return cls.of_ternary(np.rint(weight / np.float32(scale)).clip(-1, 1), scale, **how)

    def ternary(self) -> np.ndarray:
        """(outputs, inputs) int8: the weights as they were."""
        words = np.moveaxis(self.words, -1, 1).reshape(-1, self.words.shape[1])
        shifts = [np.uint32(8 * b + 2 * j) for j in range(4) for b in range(4)]
        codes = np.stack([words >> shift & np.uint32(3) for shift in shifts], axis=-1)
        return codes.reshape(len(words), -1)[: self.outputs, : self.inputs].astype(np.int8) - np.int8(1)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """x (tokens, inputs) float32, finite -> (tokens, outputs) float32."""
        if x.ndim != 2 or x.shape[1] != self.inputs or x.dtype != np.float32:
            raise InputError("x", got=f"{x.dtype} of shape {x.shape}", expected=f"float32 (tokens, {self.inputs})")
        return self._by_numpy(x) if self.kernels == "numpy" else self._by_library(np.ascontiguousarray(x))

    def _by_numpy(self, x: np.ndarray) -> np.ndarray:
        largest = np.abs(x).max(axis=1, keepdims=True, initial=0)
        by = np.float32(127) / np.maximum(largest, np.float32(_SMALLEST))
        if self._matrix is None:
            self._matrix = self.ternary().T.astype(np.float64)
        sums = np.rint(x * by) @ self._matrix  # whole numbers below 2^53: exact
        return sums.astype(np.float32) * (np.float32(self.scale) / by)

    def _by_library(self, x: np.ndarray) -> np.ndarray:
        tokens, (many, blocks, _) = len(x), self.words.shape
        out = np.empty((tokens, many * LANES), np.float32)
        scratch = np.empty(tokens * (blocks * _BLOCK + 8), np.int8)
        number, run = SETS[self.kernels], self._library.bnn_ternary_linear
        weight, source, room, target = (one.ctypes.data for one in (self.words, x, scratch, out))

        def some(first: int, last: int, fresh: int) -> None:
            run(number, weight, source, tokens, self.inputs, many, first, last, self.scale, fresh, room, target)

        if self.threads == 1:
            some(0, many, 1)
        else:
            some(0, 0, 1)
            part = max(1, -(-many // (4 * self.threads)))
            in_turn(lambda first: some(first, min(first + part, many), 0), range(0, many, part), self.threads)
        return out[:, : self.outputs]
