"""Run a `.bnn` file: numpy arrays in and out, no torch anywhere."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError

from bnn_fsg.graph import _graph, _sizes
from bnn_fsg.runtime import _format
from bnn_fsg.runtime._executor import Executor, NotFiniteError, NumpyExecutor
from bnn_fsg.runtime._layer import pair
from bnn_fsg.runtime._native import chosen

_FLOAT = np.dtype(np.float32)
_UNPACKED = 16  # times the file's bytes, for its arrays in memory: a bit takes a byte there
_UNSTATED = 1 << 30  # bytes that one sample may take for a file that does not state what it needs, as those of 0.1.0


class PackedModel:
    """A packed network, ready to run.

    Attributes:
        input_shape: (channels, [[frames], height], width) or (features,) of one sample.
        nodes: the operations, as the file has them.
        output_rank: how many dimensions the output has, batch included.
        normalisation: {mean, std, white} of its pictures, or None if not given to `pack`.
        classes: names of the classes in the order of the outputs; empty if not given to `pack`.
        sizes: of each value of one sample, by name.
        memory: bytes that the weights and the values of one sample take at most.
        about: the file's header.
        nbytes: size of the file.
        kernels: what runs it: "amx", "avx512", "avx2", "neon", "plain" or "numpy".
        reads_pictures: whether `on_pictures` adds whole numbers from the first layer on.

    Examples:
        >>> import torch
        >>> from bnn_fsg import PackedModel, binarize, pack
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> net = nn.Sequential(
        ...     nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardtanh(), nn.MaxPool2d(4),
        ...     nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 10),
        ... )
        >>> x = torch.rand(4, 1, 12, 12)
        >>> model = binarize(net, weights="bwn-f", skip=["0"], example_input=x)

        >>> packed = pack(model.eval(), x)

        >>> packed.save("mine.bnn")
        >>> runtime = PackedModel.load("mine.bnn")  # needs no torch
        >>> runtime(x.numpy()).shape
        (4, 10)
        >>> runtime.input_shape, runtime.nodes[0].op
        ((1, 12, 12), 'conv')
        >>> runtime.nbytes < 4 * sum(one.numel() for one in net.parameters())  # bytes of float32 weights
        True
    """

    def __init__(
        self, data: bytes, *, threads: int = 1, backend: str = "auto", path: str | Path = "packed model"
    ) -> None:
        """Use `load`, or `bnn_fsg.pack`; data: the bytes of a `.bnn` file."""
        if threads < 1:
            raise InputError("threads", got=threads, expected="at least 1")
        self.kernels = chosen(backend)
        self._data, self.threads, self.backend = data, threads, backend
        self.about, arrays = _format.decode(data, path)
        try:
            graph = self.about["graph"]
            self.nodes = _graph.parse(graph, arrays)
            self._output, self.output_rank = graph["output"], graph["output_rank"]
            self.sizes = _sizes.infer(graph["input"], self.nodes, self._output, self.output_rank)
            self.input_shape = tuple(graph["input"])
            self.normalisation = _normalisation(graph.get("normalisation"), self.input_shape[0])
            self.classes = _classes(graph.get("classes", []), self.sizes[self._output].channels)
            self.memory = len(data) * _UNPACKED + self._values_and_weights(graph)
            self._fused = _graph.fuse(_graph.parse(graph, arrays), self._output)
            self._run = self._executor(None)
            self.reads_pictures = self._stems()
        except (KeyError, TypeError, ValueError, OverflowError, InputError) as error:
            raise ArtifactError(path, f"is damaged: its graph makes no sense ({error})") from None
        self._one, self._again = (1, *self.input_shape), getattr(self._run, "again", None) if threads == 1 else None
        self._run_pictures: Executor | NumpyExecutor | None = None

    def _executor(self, normalisation: dict[str, Any] | None) -> Executor | NumpyExecutor:
        if self.kernels == "numpy":
            return NumpyExecutor(self._fused, self._output, self.sizes, normalisation)
        return Executor(self._fused, self._output, self.sizes, self.kernels, normalisation)

    def _values_and_weights(self, graph: dict[str, Any]) -> int:
        """Bytes that laid out weights and the values of one sample take; ValueError if the file states another need,
        or there is not so much memory."""
        found, stated = _sizes.value_bytes(self.sizes), graph.get("value_bytes")
        if stated is not None and stated != found:
            raise ValueError(f"the values of one sample take {found} bytes, and it states {stated!r:.60}")
        needed = _sizes.memory(self.nodes, self.sizes, numpy=self.kernels == "numpy")
        most = _UNSTATED if stated is None else _machine()
        if needed > most:
            hint = "; it states no need of its own: pack it again" if stated is None else ""
            raise ValueError(f"one sample needs {needed / 1e9:.1f} GB, more than {most / 1e9:.1f} GB{hint}")
        return needed

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 1, backend: str = "auto") -> PackedModel:
        """Read a `.bnn` file.

        Args:
            path: the file.
            threads: processor threads to use when it runs.
            backend: "auto": the best kernels of this processor, or numpy with a warning where the package was built
                without its library; "c", "amx", "avx512", "avx2", "neon", "plain" or "numpy" by name. All give the
                same numbers.
        Raises:
            ArtifactError: with path and reason, if the file is missing, truncated, damaged, foreign or newer.
        """
        return cls(_format.read(path), threads=threads, backend=backend, path=path)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the `.bnn` file, whole or not at all; ArtifactError if it exists and `force` is off."""
        _format.write(path, self._data, force=force)

    @property
    def encoded(self) -> bytes:
        """The bytes of the file."""
        return self._data

    @property
    def nbytes(self) -> int:
        """Size of the file."""
        return len(self._data)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Outputs for a batch.

        Args:
            x: (n, *input_shape) float32, channels first as in torch, finite.
        Returns: float32, shaped as the network's output in torch, e.g. (n, classes).
        Raises: InputError naming what is wrong with x, or the layer whose input is not +1 and -1.
        """
        if self._again and x.__class__ is np.ndarray and x.dtype is _FLOAT and x.shape == self._one and x.flags.carray:
            whole = self._again(x)
            if whole is not None:
                return self._shaped(whole)
        x = self._checked(x)
        try:
            return self._shaped(self._run(x, self.threads))
        except NotFiniteError:
            raise _not_finite(x) from None

    def _shaped(self, whole: np.ndarray) -> np.ndarray:
        """(n, channels, height, width) as the network's output in torch."""
        if self.output_rank == 4:
            return whole
        return whole.reshape((*whole.shape[:2], -1)[: self.output_rank])

    def _stems(self) -> bool:
        readers = [node for node in self._fused if "input" in node.inputs]
        alone = all(node.residual != "input" for node in self._fused) and self._output != "input"
        stems = all(
            node.op == "conv" and pair(node.settings.get("dilation", 1))[1] == 1 and node.settings.get("groups", 1) == 1
            for node in readers
        )
        return self.normalisation is not None and alone and stems and bool(readers)

    def on_pictures(self, pictures: np.ndarray) -> np.ndarray:
        """Outputs for uint8 pictures as they are: the normalisation that the file states is part of the first layer.

        That layer then multiplies by int16 weights and adds exactly, where the network begins with a convolution of
        numbers (`reads_pictures`); elsewhere this is `self(self.prepare(pictures))`.

        Args:
            pictures: uint8, as `prepare` takes them.
        Returns: as calling the model.
        """
        if not self.reads_pictures:
            return self(self.prepare(pictures))
        self._check_pictures(pictures)
        if self._run_pictures is None:
            self._run_pictures = self._executor(self.normalisation)
        try:
            return self._shaped(self._run_pictures(np.ascontiguousarray(pictures), self.threads))
        except NotFiniteError:
            raise _not_finite(np.zeros(1, np.float32)) from None

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The class with the largest output, (n,) int64; x as for calling the model, or uint8 pictures."""
        pictures = isinstance(x, np.ndarray) and x.dtype == np.uint8 and self.normalisation is not None
        return (self.on_pictures(x) if pictures else self(x)).argmax(axis=1)

    def prepare(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 (n, height, width, channels), (n, length, channels) or (n, features) as the network's input.

        Raises: InputError for another shape or dtype, or if the file does not say how its pictures were normalised.
        """
        known = self._check_pictures(pictures)
        mean, std = (np.array(known[key], np.float32) for key in ("mean", "std"))
        x = (pictures.astype(np.float32) / np.float32(known["white"]) - mean) / std
        return np.ascontiguousarray(np.moveaxis(x, -1, 1))

    def _check_pictures(self, pictures: np.ndarray) -> dict[str, Any]:
        """The normalisation; InputError where there is none, or the pictures are not such."""
        if self.normalisation is None:
            hint = "give mean and std to pack, or normalise the pictures yourself"
            raise InputError("packed model", got="no normalisation in the file", hint=hint)
        expected = (*self.input_shape[1:], self.input_shape[0])
        if pictures.dtype != np.uint8 or pictures.shape[1:] != expected or len(pictures) == 0:
            got = f"{pictures.dtype} of shape {pictures.shape}"
            raise InputError("pictures", got=got, expected=f"uint8 (n, {', '.join(map(str, expected))})")
        return self.normalisation

    def _checked(self, x: np.ndarray) -> np.ndarray:
        if not isinstance(x, np.ndarray):
            raise InputError("input", got=type(x).__name__, expected="a numpy array")
        if x.shape[1:] != self.input_shape or len(x) == 0:
            expected = f"(n, {', '.join(map(str, self.input_shape))})"
            last = (*self.input_shape[1:], self.input_shape[0])
            hint = "channels come first: x.transpose(0, 3, 1, 2)" if x.shape[1:] == last and x.ndim == 4 else None
            hint = "one sample? x[None]" if x.shape == self.input_shape else hint
            raise InputError("input", got=f"shape {x.shape}", expected=expected, hint=hint)
        if x.dtype != _FLOAT:
            hint = "the model wants the numbers it was trained on, such as normalised pixels; x.astype(np.float32)"
            raise InputError("input", got=f"dtype {x.dtype}", expected="float32", hint=hint)
        laid_out = x.flags.c_contiguous and x.flags.aligned  # whole numbers of four bytes apart, as the kernels reckon
        return x if laid_out else np.require(x, requirements=["C", "A"])


def _not_finite(x: np.ndarray) -> InputError:
    """What is wrong where NaN or infinity came up: the input x, or the output."""
    bad = ~np.isfinite(x)
    if not bad.any():
        hint = "the input is far too large"
        return InputError("output of the packed model", got="NaN or infinity", hint=hint)
    place = tuple(int(one) for one in np.argwhere(bad)[0])
    return InputError("input", got="NaN or infinity", expected="finite values", where=f"element {place}")


def _machine() -> int:
    """Bytes of memory that this machine has; a terabyte where it does not say."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 1 << 40


def _classes(known: Any, outputs: int) -> tuple[str, ...]:
    """Names of the classes, checked: none, or one for each output."""
    if not isinstance(known, list) or not all(isinstance(one, str) for one in known):
        raise ValueError(f"the classes {known!r:.60} are no list of names")
    if known and (len(known) != outputs or len(set(known)) < outputs):
        raise ValueError(f"{len(set(known))} different names of classes for {outputs} outputs")
    return tuple(known)


def _normalisation(known: Any, channels: int) -> dict[str, Any] | None:
    """Checked: by channel mean and std, and what stands for 1."""
    if known is None:
        return None
    if not isinstance(known, dict) or not all(isinstance(known[one], list) for one in ("mean", "std")):
        raise ValueError(f"the normalisation {known!r:.60} is no object with lists of mean and std")
    numbers = [*known["mean"], *known["std"], known["white"]]
    if not all(type(one) in (int, float) and math.isfinite(one) for one in numbers):
        raise ValueError("mean, std or white is no number")
    if len(known["mean"]) != channels or len(known["std"]) != channels or min(*known["std"], known["white"]) <= 0:
        raise ValueError(f"mean and std for another number of channels than {channels}, or a std or white of 0")
    return known
