"""Coders of a user's own: any object with `encode` and `decode`; power, pairing and counting are done here."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from semcom.phy import Modulation, Received
from semcom.whole._interface import WholeLink, checked_picture
from semcom.whole._tile_coder import as_over_awgn


class Coder(Protocol):
    """What a coder has to have; `encode` may take the SNR in dB (B,) as a second argument.

    Examples:
        >>> import torch

        >>> class Thumbnail:
        ...     def encode(self, pictures):  # (B, 3, H, W) in [0, 1] -> reals or complex, (B, ...)
        ...         return torch.nn.functional.avg_pool2d(pictures, 4) - 0.5
        ...
        ...     def decode(self, received, size, snr):  # as encode returned it, (height, width), (B,) in dB
        ...         return torch.nn.functional.interpolate(received + 0.5, size)
    """

    def encode(self, pictures: Tensor) -> Any:
        """Latents, one row for each of the pictures (B, 3, H, W) in [0, 1]: a tensor or array, real or complex."""
        ...

    def decode(self, received: Tensor, size: tuple[int, int], snr: Tensor) -> Any:
        """Pictures (B, 3, height, width) of latents in the shape that `encode` gave, and the SNR (B,) in dB."""
        ...


def encoded(coder: Coder, pictures: Tensor, snr: Tensor) -> tuple[Tensor, torch.Size, bool]:
    """Complex symbols of unit mean power, (B, n), with gradients; the shape of the latents; whether they were complex.

    Two successive reals make a symbol; an odd one is paired with zero.
    """
    takes_snr = len(inspect.signature(coder.encode).parameters) > 1
    latents = torch.as_tensor(coder.encode(pictures, snr) if takes_snr else coder.encode(pictures))  # type: ignore[call-arg]
    shape, flat = latents.shape, latents.flatten(1)
    if len(flat) != len(pictures) or not flat.shape[1] or not bool(torch.isfinite(torch.view_as_real(flat) if
                                                                   flat.is_complex() else flat).all()):  # fmt: skip
        got = f"shape {tuple(shape)}" if len(flat) != len(pictures) else "NaN or infinity"
        raise InputError("what encode returns", got=got, expected=f"finite numbers, {len(pictures)} rows")
    is_complex = flat.is_complex()
    if not is_complex:
        flat = torch.view_as_complex(
            torch.nn.functional.pad(flat.float(), (0, flat.shape[1] % 2)).unflatten(1, (-1, 2))
        )
    power = flat.abs().square().mean(dim=1, keepdim=True)
    return flat / (power + 1e-12).sqrt(), shape, is_complex


def as_latents(reals: Tensor, shape: torch.Size, *, is_complex: bool) -> Tensor:
    """Received reals (B, 2 n) of unit variance in the shape and type that `encode` gave, of unit mean power."""
    if is_complex:
        return torch.view_as_complex(reals.unflatten(1, (-1, 2)).contiguous()).reshape(shape) / 2**0.5
    return reals[:, : int(np.prod(shape[1:]))].reshape(shape)


class Constrained(torch.nn.Module):
    """A coder whose symbols are points of a fixed constellation, as a digital radio sends them.

    Each axis is rounded to the nearest level; gradients pass through the rounding (straight-through), so that
    `semcom.train` trains the coder with it. The receiver's decoder gets what the channel made of the points.

    Examples:
        >>> import torch
        >>> from semcom.whole import Constrained

        >>> class Thumbnail:
        ...     def encode(self, pictures):
        ...         return torch.nn.functional.avg_pool2d(pictures, 4) - 0.5
        ...
        ...     def decode(self, received, size, snr):
        ...         return torch.nn.functional.interpolate(received * 0.25 + 0.5, size)

        >>> symbols = Constrained(Thumbnail(), "16qam").encode(torch.rand(1, 3, 32, 32), torch.tensor([10.0]))
        >>> len(symbols.unique()) <= 16
        True
    """

    def __init__(self, coder: Coder, modulation: str = "16qam") -> None:
        """Args:
        coder: see `Coder`; its parameters are trained if it is a `torch.nn.Module`.
        modulation: `qpsk`, `16qam`, `64qam` or `256qam`.
        """
        super().__init__()
        self.coder, bits = coder, Modulation(modulation).bits
        if bits < 2:
            raise InputError("modulation", got=modulation, expected="qpsk, 16qam, 64qam or 256qam")
        self._levels = 2 ** (bits // 2)
        self._step = float(np.sqrt(6 / (4 ** (bits // 2) - 1)))  # between levels, at unit mean power
        self._shape, self._is_complex = torch.Size(), False

    def encode(self, pictures: Tensor, snr: Tensor) -> Tensor:
        """Points (B, n), complex."""
        symbols, self._shape, self._is_complex = encoded(self.coder, pictures, snr)
        axes = torch.view_as_real(symbols)
        top = (self._levels - 1) / 2
        rounded = ((axes / self._step + top).round().clamp(0, self._levels - 1) - top) * self._step
        return torch.view_as_complex(axes + (rounded - axes).detach())

    def decode(self, received: Tensor, size: tuple[int, int], snr: Tensor) -> Any:
        """Pictures of received points, by the coder's own decoder."""
        reals = torch.view_as_real(received).flatten(1) * 2**0.5
        shape = torch.Size([len(received), *self._shape[1:]])
        return self.coder.decode(as_latents(reals, shape, is_complex=self._is_complex), size, snr)


class UserLink(WholeLink):
    """A coder of a user's own as a link of the comparison."""

    name: ClassVar[str] = "your coder"

    def __init__(self, coder: Coder, ratio: float) -> None:
        """Args:
        coder: see `Coder`.
        ratio: bandwidth ratio; see `ratio_of`.
        """
        for method in ("encode", "decode"):
            if not callable(getattr(coder, method, None)):
                raise InputError("coder", got=f"{type(coder).__name__} without {method}", expected="encode and decode")
        self.coder, self.ratio = coder, ratio

    def _encoded(self, picture: np.ndarray, snr_db: float) -> tuple[Tensor, torch.Size, bool]:
        pixels = torch.from_numpy(checked_picture(picture).copy()).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            return encoded(self.coder, pixels, torch.tensor([float(np.clip(snr_db, -20, 40))]))

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        symbols = self._encoded(picture, snr_db)[0][0].numpy().astype(np.complex64)
        return (symbols / np.sqrt(np.mean(np.abs(symbols) ** 2))).astype(np.complex64)

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:
        blank = np.zeros((height, width, 3), np.uint8)
        _, shape, is_complex = self._encoded(blank, snr_db)  # the shape alone: the receiver knows the size
        reals, effective = as_over_awgn(received)
        with torch.no_grad():
            latents = as_latents(torch.from_numpy(reals), shape, is_complex=is_complex)
            drawn = self.coder.decode(latents, (height, width), torch.from_numpy(effective).float())
        drawn = torch.as_tensor(drawn).nan_to_num()
        if drawn.shape != (1, 3, height, width):
            expected = f"(1, 3, {height}, {width})"
            raise InputError("what decode returns", got=f"shape {tuple(drawn.shape)}", expected=expected)
        return (drawn[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def ratio_of(coder: Coder, picture: np.ndarray) -> float:
    """Bandwidth ratio at which a coder sends a picture: its complex symbols by 3 * H * W."""
    return len(UserLink(coder, 1.0).send(picture, 10.0)) / picture.size


def load_user_coder(text: str) -> Any:
    """An instance of the class in `file.py:Class`, whose file is run.

    Raises:
        InputError: if the file or the class is not there, or the class needs arguments.
    """
    name, _, kind = text.rpartition(":")
    path = Path(name)
    if not path.is_file():
        raise InputError("--coder", got=text, expected="file.py:Class, a file that exists and a class in it")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    made = getattr(module, kind, None)
    if made is None:
        raise InputError("--coder", got=f"no {kind!r} in {path}", expected=f"a class of {path.name}")
    return made() if inspect.isclass(made) else made
