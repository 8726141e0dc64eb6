"""The same channels for torch, with gradients through the symbols: for training through what a link will meet.

All randomness is drawn by numpy in the order of `Channel.apply`, so that equal generators give equal channels; what the
receiver knows (gains, weights, effective noise) does not depend on the data and carries no gradient.
"""

from __future__ import annotations

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from semcom.phy._channel import Channel
from semcom.phy._definitions import complex_noise, effective_and_weight, row_variances
from semcom.phy._ofdm import pilot_symbol


def apply_torch(
    channel: Channel, symbols: Tensor, snr_db: float | np.ndarray, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Send rows of symbols and equalise them, as `Channel.apply`.

    Args:
        channel: any but `erasure` and `bsc`.
        symbols: (rows, n) complex of unit mean power a row, on any device.
        snr_db: Es/N0, a number or (rows,).
        generator: source of all randomness.
    Returns: MMSE estimates (rows, n), differentiable in `symbols` and of their precision, and the effective noise
        variance of the unbiased symbols, (rows, 1) or (rows, n).
    """
    if symbols.ndim != 2 or not symbols.is_complex():
        got = f"{symbols.dtype} of shape {tuple(symbols.shape)}"
        raise InputError("symbols", got=got, expected="(rows, n) complex")
    rows, count = symbols.shape
    variance = row_variances(snr_db, rows)

    def to(array: np.ndarray) -> Tensor:
        kind = symbols.dtype if array.dtype.kind == "c" else symbols.dtype.to_real()
        return torch.from_numpy(np.ascontiguousarray(array)).to(kind).to(symbols.device)

    if channel.multicarrier:
        scale, shift, effective = _multicarrier(channel, rows, count, variance, generator)
        return symbols * to(scale) + to(shift), to(effective)
    if channel.kind == "mimo":
        draw = channel.mimo(count).draw((rows, count), variance, generator)
        pairs = torch.nn.functional.pad(symbols, (0, count % 2)).reshape(rows, -1, 2, 1)
        received = to(draw.spread(draw.matrices)) @ pairs + to(draw.noise)[..., None]
        estimate = (to(draw.spread(draw.weights)) @ received)[..., 0].reshape(rows, -1)[:, :count]
        return estimate, to(draw.spread(draw.effective).reshape(rows, -1)[:, :count])
    noise = complex_noise((rows, count), generator)
    noise *= np.sqrt(variance)
    if channel.kind == "awgn":
        return (symbols + to(noise)) / to(1 + variance), to(variance)
    if channel.kind not in ("rayleigh", "rician"):
        raise InputError("channel", got=channel.kind, expected="one that has gradients: no erasure, no bsc")
    gains, span = channel.gains(rows, count, generator)
    known, total = channel.known(gains, variance, generator)
    effective, weight = effective_and_weight(known, total)
    gains, weight, effective = (np.repeat(one, span, axis=1)[:, :count] for one in (gains, weight, effective))
    return (symbols * to(gains) + to(noise)) * to(weight), to(effective)


def _multicarrier(
    channel: Channel, rows: int, count: int, variance: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(factor, noise, effective noise variance) of each symbol: the prefix makes every subcarrier a flat channel."""
    path = channel.multipath
    size, blocks = path.carriers, path.pilots + -(-count // path.carriers)
    response = path.responses(rows, generator)
    stream = generator.standard_normal((rows, blocks * (size + path.prefix), 2)) @ np.array([1, 1j])
    stream = (stream * np.sqrt(variance / 2)).reshape(rows, blocks, size + path.prefix)[..., path.prefix :]
    noise = np.fft.fft(stream, axis=2, norm="ortho")
    true = np.fft.fft(response, size, axis=1)
    pilots = true[:, None] * pilot_symbol(size) + noise[:, : path.pilots]
    weight, effective = path.equaliser(true, pilots, variance, channel.csi)
    shift = (weight[:, None] * noise[:, path.pilots :]).reshape(rows, -1)[:, :count]
    all_of = [weight * true, np.broadcast_to(effective, true.shape)]
    factor, spread = (np.tile(one, (1, blocks - path.pilots))[:, :count] for one in all_of)
    return factor, shift, spread


def torch_noise_equivalent(estimate: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Reals as over AWGN of one SNR a row, and that SNR in dB: symbols in more noise are shrunk the more.

    Args:
        estimate: (rows, n) complex MMSE estimates.
        noise: effective noise variance, broadcast to them.
    Returns: (rows, 2 n) float32, and (rows,).
    """
    trust = (1 / (1 + noise)).expand(estimate.shape).mean(dim=1)
    error = (1 - trust).clamp(1e-4, 0.999)
    scaled = torch.view_as_real(estimate / (1 - error)[:, None]).flatten(1) * 2**0.5
    return scaled, 10 * ((1 - error) / error).log10()
