"""One definition of power, SNR and bandwidth ratio for the whole package, and the closed forms that tests compare with.

Complex baseband y = h x + w with w ~ CN(0, s2). SNR = Es/N0 = P / s2, with P = mean |x|^2 = 1 for each complex symbol
of each picture (never of a batch). Each real dimension of w has variance s2 / 2.
"""

from __future__ import annotations

import math

import numpy as np
from ninefold.errors import InputError

MAX_VARIANCE = 1e12  # stands for no signal at all, so that everything computed from it stays finite


def noise_variance(snr_db: float | np.ndarray) -> np.ndarray:
    """s2 of unit-power symbols at an Es/N0 in dB; +inf gives 0, -inf gives `MAX_VARIANCE`. float64, same shape."""
    snr = np.asarray(snr_db, dtype=np.float64)
    if np.isnan(snr).any():
        raise InputError("SNR", got="NaN", expected="decibels, or inf")
    with np.errstate(over="ignore"):
        return np.minimum(10.0 ** (-snr / 10), MAX_VARIANCE)


def row_variances(snr_db: float | np.ndarray, rows: int) -> np.ndarray:
    """s2 of each row as (rows, 1) float32, of one Es/N0 in dB or of one a row."""
    variance = noise_variance(snr_db)
    if variance.size not in (1, rows):
        raise InputError("SNR", got=f"{variance.size} values", expected=f"one, or one for each of {rows} rows")
    return np.broadcast_to(variance.reshape(-1, 1), (rows, 1)).astype(np.float32)


def ebn0_db(esn0_db: float, bits_per_symbol: int, code_rate: float = 1.0) -> float:
    """Eb/N0 in dB of an Es/N0 in dB: Es/N0 - 10 log10(bits a symbol * code rate)."""
    return esn0_db - 10 * math.log10(bits_per_symbol * code_rate)


def power(symbols: np.ndarray) -> np.ndarray:
    """Mean |x|^2 of each picture: (pictures, symbols) complex -> (pictures,)."""
    return np.mean(np.real(symbols).astype(np.float64) ** 2 + np.imag(symbols).astype(np.float64) ** 2, axis=-1)


def bandwidth_ratio(symbols: int, channels: int, height: int, width: int) -> float:
    """Complex symbols of a picture (latents, mask, headers, pilots, prefixes) by its C * H * W source values."""
    return symbols / (channels * height * width)


def reals_to_symbols(reals: np.ndarray) -> np.ndarray:
    """Adjacent pairs of unit-variance reals as unit-power symbols: (rows, 2 n) -> (rows, n) complex64."""
    if reals.shape[-1] % 2:
        raise InputError("reals", got=f"{reals.shape[-1]} a row", expected="an even number: two make a symbol")
    scaled = np.ascontiguousarray(reals, dtype=np.float32) * np.float32(math.sqrt(0.5))
    return scaled.view(np.complex64)


def symbols_to_reals(symbols: np.ndarray) -> np.ndarray:
    """Inverse of `reals_to_symbols`: (rows, n) complex -> (rows, 2 n) float32."""
    return np.ascontiguousarray(symbols, dtype=np.complex64).view(np.float32) * np.float32(math.sqrt(2))


def checked_symbols(symbols: np.ndarray) -> np.ndarray:
    """(rows, n) complex64, or InputError that names the first row with NaN or infinity."""
    array = np.asarray(symbols)
    if array.ndim != 2 or array.dtype.kind not in "fc":
        raise InputError("symbols", got=f"{array.dtype} of shape {array.shape}", expected="(rows, symbols) complex")
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise InputError("symbols", got=f"NaN or infinity in row {int(bad.argmax())}", expected="finite values")
    return np.ascontiguousarray(array, dtype=np.complex64)


def q_function(x: float) -> float:
    """Tail of the standard normal distribution."""
    return 0.5 * math.erfc(x / math.sqrt(2))


def bit_error_awgn(ebn0: float) -> float:
    """Bit error rate of BPSK and Gray QPSK at a linear Eb/N0: Q(sqrt(2 Eb/N0))."""
    return q_function(math.sqrt(2 * ebn0))


def bit_error_rayleigh(ebn0: float) -> float:
    """The same in Rayleigh fading with mean Eb/N0 g and perfect CSI: (1 - sqrt(g / (1 + g))) / 2."""
    return 0.5 * (1 - math.sqrt(ebn0 / (1 + ebn0)))


def outage_rayleigh(rate: float, snr_db: float) -> float:
    """Probability that log2(1 + |h|^2 SNR) < rate in slow Rayleigh fading: a bound on any code's block error rate."""
    return 1 - math.exp(-(2**rate - 1) / 10 ** (snr_db / 10))


def capacity_awgn(snr_db: float) -> float:
    """log2(1 + SNR), bits a complex symbol."""
    return math.log2(1 + 10 ** (snr_db / 10))


def complex_noise(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """CN(0, 1) draws, complex64."""
    noise = generator.standard_normal((*shape[:-1], 2 * shape[-1]), dtype=np.float32)
    noise *= np.float32(math.sqrt(0.5))
    return noise.view(np.complex64)


def estimate_gain(
    observed: np.ndarray,
    variance: np.ndarray | float,
    pilots: int,
    estimator: str,
    mean: float = 0.0,
    spread: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Gain of a block from the mean of its pilots.

    Args:
        observed: mean of the received pilots (sent as 1), any shape.
        variance: noise variance of one symbol.
        pilots: pilots of a block.
        estimator: `ls`, or `lmmse` with the gain's prior `mean` and variance `spread`.
    Returns: the estimate, and the variance of its error.
    """
    error = np.asarray(variance / pilots, dtype=np.float32)
    if estimator == "ls":
        return observed, np.broadcast_to(error, observed.shape)
    trust = spread / (spread + error)
    return (mean + trust * (observed - mean)).astype(np.complex64), np.broadcast_to(trust * error, observed.shape)


def effective_and_weight(known: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(noise variance of unbiased symbols, MMSE weight conj(h) / (|h|^2 + s2)) of gains as the receiver knows them."""
    square = np.real(known) ** 2 + np.imag(known) ** 2
    with np.errstate(divide="ignore", over="ignore"):
        effective = np.minimum(variance / square, np.float32(MAX_VARIANCE))
    return effective, known.conj() / np.maximum(square + variance, np.float32(1e-30))
