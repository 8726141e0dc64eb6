"""Channels with honest accounting: AWGN, Rayleigh and Rician fading, multipath OFDM, 2 x 2 MIMO, erasures, bit
flips.

Arithmetic is done in place: the noise draw is most of the cost. Pilots and cyclic prefixes are counted as symbols.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from ninefold.errors import InputError

from semcom.phy._block import restored
from semcom.phy._definitions import (
    MAX_VARIANCE,
    checked_symbols,
    complex_noise,
    effective_and_weight,
    estimate_gain,
    noise_variance,
    row_variances,
)  # fmt: skip
from semcom.phy._mimo import DETECTORS, Mimo
from semcom.phy._ofdm import Multipath

KINDS = ("awgn", "rayleigh", "rician", "ofdm", "tdl-a", "tdl-c", "mimo", "erasure", "bsc")
_CSI, _ESTIMATORS, _GRAINS = ("perfect", "pilot", "none"), ("lmmse", "ls"), ("image", "block", "symbol")


@dataclass(frozen=True)
class Received:
    """What the equaliser hands on.

    Attributes:
        symbols: (rows, n) complex64 MMSE estimates, finite whatever the fade: conj(h) y / (|h|^2 + s2).
        noise: effective noise variance s2 / |h|^2 of the unbiased symbols, broadcast to (rows, n); finite.
        overhead: pilot and prefix symbols of a row, in addition to the n.
    """

    symbols: np.ndarray
    noise: np.ndarray
    overhead: int = 0

    @property
    def in_order(self) -> Received:
        """The same without the interleaver, the noise variance of each symbol on its own."""
        noise = np.broadcast_to(np.asarray(self.noise, np.float32), self.symbols.shape)
        if noise.strides[1]:  # else a row has one variance
            noise = restored(noise)
        return Received(restored(self.symbols), noise, self.overhead)

    @property
    def unbiased(self) -> np.ndarray:
        """y / h, for a demapper: the MMSE estimate without its shrinkage."""
        return self.symbols * (1 + self.noise).astype(np.float32)


@dataclass(frozen=True)
class Channel:
    """A channel; `Channel.from_spec("rayleigh:block=64,csi=pilot")` makes one from text.

    Attributes:
        kind: one of `KINDS`.
        grain: what shares a gain: `image` (slow flat fading), `block` (of `block` symbols) or `symbol`.
        block: symbols of a coherence block.
        csi: what the receiver knows of the gain: `perfect`, `pilot` (estimated), `none` (taken as 1).
        estimator: `lmmse` or `ls`, from pilots.
        pilots: pilot symbols a block (a row for `image`; OFDM symbols before the data for `ofdm`).
        k: Rician factor, power of the fixed path by that of the scattered ones.
        p: probability of an erasure or a bit flip.
        taps, decay: of the exponential power delay profile of `ofdm`, decay in dB a tap.
        spread: RMS delay spread of `tdl-a` and `tdl-c`, in samples.
        detector: of `mimo`, two antennas on each side: `lmmse` or `zf`.

    Examples:
        >>> import numpy as np
        >>> from semcom import Channel

        >>> channel = Channel.from_spec("rayleigh:block=64,csi=pilot")
        >>> channel.kind, channel.block, channel.csi
        ('rayleigh', 64, 'pilot')
        >>> symbols = np.ones((3, 256), np.complex64)
        >>> received = channel.apply(symbols, 10.0, np.random.default_rng(0))
        >>> received.symbols.shape, received.overhead  # pilots of the four blocks of a row
        ((3, 256), 8)
    """

    kind: str = "awgn"
    grain: str = "image"
    block: int = 64
    csi: str = "perfect"
    estimator: str = "lmmse"
    pilots: int = 2
    k: float = 4.0
    p: float = 0.1
    taps: int = 8
    decay: float = 3.0
    spread: float = 1.5
    detector: str = "lmmse"

    def __post_init__(self) -> None:
        for name, allowed in (("kind", KINDS), ("grain", _GRAINS), ("csi", _CSI), ("estimator", _ESTIMATORS)):
            if getattr(self, name) not in allowed:
                raise InputError(f"channel {name}", got=getattr(self, name), expected=f"one of {', '.join(allowed)}")
        for name in ("block", "pilots", "taps"):
            if getattr(self, name) < 1:
                raise InputError(f"channel {name}", got=getattr(self, name), expected="at least 1")
        if not 0 <= self.p <= 1 or not self.k >= 0 or not math.isfinite(self.k):
            raise InputError("channel p, k", got=(self.p, self.k), expected="p in [0, 1] and a finite k from 0")
        if self.kind in ("rayleigh", "rician", "mimo") and self.grain == "symbol" and self.csi == "pilot":
            raise InputError("channel csi", got="pilot", expected="block or image fading: each symbol has its own gain")
        if self.detector not in DETECTORS:
            raise InputError("channel detector", got=self.detector, expected=f"one of {', '.join(DETECTORS)}")
        if not 0 < self.spread < 100 or not math.isfinite(self.decay):
            raise InputError("channel spread, decay", got=(self.spread, self.decay), expected="above 0, and finite")
        if self.multicarrier and len(self.multipath.profile) > Multipath.prefix + 1:
            got = f"{len(self.multipath.profile)} samples"
            raise InputError("channel taps", got=got, expected=f"at most {Multipath.prefix + 1}: the prefix")

    @classmethod
    def from_spec(cls, spec: str) -> Channel:
        """Read `KIND` or `KIND:key=value,...`; `image`, `symbol` and `block=64` set the grain.

        Raises:
            InputError: for an unknown kind, key or value; names it.
        """
        kind, _, rest = spec.strip().partition(":")
        types = {field.name: field.type for field in fields(cls)}
        values: dict[str, str | int | float] = {"kind": kind}
        for word in filter(None, rest.split(",")):
            key, equals, text = word.strip().partition("=")
            if not equals and key in ("image", "symbol"):
                values["grain"] = key
                continue
            if key not in types or key == "kind" or not equals:
                names = ", ".join(name for name in types if name != "kind")
                raise InputError("channel", got=repr(word), expected=f"image, symbol, or key=value with one of {names}")
            if key == "block":
                values["grain"] = "block"
            try:
                values[key] = {"int": int, "float": float}.get(str(types[key]), str)(text)
            except ValueError:
                raise InputError(f"channel {key}", got=repr(text), expected=f"a number ({types[key]})") from None
        return cls(**values)  # type: ignore[arg-type]

    def overhead(self, count: int) -> int:
        """Pilot and prefix symbols for `count` data symbols of a row."""
        if self.multicarrier:
            return self.multipath.overhead(count)
        if self.kind not in ("rayleigh", "rician", "mimo") or self.csi != "pilot":
            return 0
        if self.kind == "mimo":
            return self.mimo(count).pilots_of(count)
        return self.pilots * (1 if self.grain == "image" else -(-count // self.block))

    @property
    def multicarrier(self) -> bool:
        """Whether it is multipath with OFDM."""
        return self.kind in ("ofdm", "tdl-a", "tdl-c")

    @property
    def multipath(self) -> Multipath:
        """The multipath of `ofdm`, `tdl-a` and `tdl-c`."""
        profile = "exponential" if self.kind == "ofdm" else self.kind
        pilots = self.pilots if self.csi == "pilot" else 0
        return Multipath(self.taps, self.decay, pilots, self.estimator, profile, self.spread)

    def mimo(self, count: int) -> Mimo:
        """The antennas of `mimo` for rows of `count` symbols."""
        return Mimo(max(1, self.span(count) // 2), self.csi, self.pilots, self.estimator, self.detector)

    def span(self, count: int) -> int:
        """Symbols of a row of `count` that share a gain."""
        return {"image": count, "block": self.block, "symbol": 1}[self.grain]

    @property
    def line_of_sight(self) -> tuple[float, float]:
        """(mean, variance) of the gain."""
        k = self.k if self.kind == "rician" else 0.0
        return math.sqrt(k / (1 + k)), 1 / (1 + k)

    def gains(self, rows: int, count: int, generator: np.random.Generator) -> tuple[np.ndarray, int]:
        """Gains (rows, blocks) complex64, and how many symbols share each."""
        span = self.span(count)
        mean, variance = self.line_of_sight
        gains = complex_noise((rows, -(-count // span)), generator)
        gains *= np.float32(math.sqrt(variance))
        gains += np.float32(mean)
        return gains, span

    def distort(self, symbols: np.ndarray, snr_db: float, generator: np.random.Generator) -> np.ndarray:
        """h x + w without any equaliser, as an antenna sees it: (rows, n) -> (rows, n) complex64.

        Pilots, if a receiver is to have any, are among the symbols already.
        """
        if self.csi != "perfect":
            raise InputError("channel csi", got=self.csi, expected="none here: pilots are the sender's, see --pilots")
        symbols = checked_symbols(symbols)
        received = complex_noise(symbols.shape, generator)
        received *= np.float32(math.sqrt(float(noise_variance(snr_db))))
        if self.kind in ("rayleigh", "rician"):
            gains, span = self.gains(len(symbols), symbols.shape[1], generator)
            received += _spread(gains, span, symbols.shape[1]) * symbols
        elif self.kind == "awgn":
            received += symbols
        else:
            raise InputError("channel", got=self.kind, expected="awgn, rayleigh or rician for a symbol file")
        return received

    def apply(self, symbols: np.ndarray, snr_db: float | np.ndarray, generator: np.random.Generator) -> Received:
        """Send rows of symbols and equalise them.

        Args:
            symbols: (rows, n) complex of unit mean power a row.
            snr_db: Es/N0, a number or (rows,); inf is no noise, -inf no signal.
            generator: source of all randomness; no global state is touched.
        """
        symbols = checked_symbols(symbols)
        variance = row_variances(snr_db, len(symbols))
        if self.multicarrier:
            found = self.multipath.apply(symbols, variance, self.csi, generator)
            return Received(*found, self.overhead(symbols.shape[1]))
        if self.kind == "mimo":
            draw = self.mimo(symbols.shape[1]).draw(symbols.shape, variance, generator)
            return Received(*draw.detected(symbols), self.overhead(symbols.shape[1]))
        if self.kind == "bsc":
            return self._flip(symbols, generator)
        received = complex_noise(symbols.shape, generator)
        received *= np.sqrt(variance)
        if self.kind in ("awgn", "erasure"):
            received += symbols
            received *= 1 / (1 + variance)
            if self.kind == "awgn":
                return Received(received, variance)
            lost = generator.random(symbols.shape) < self.p
            received[lost] = 0
            return Received(received, np.where(lost, np.float32(MAX_VARIANCE), variance))
        gains, span = self.gains(len(symbols), symbols.shape[1], generator)
        known, variance = self.known(gains, variance, generator)
        count = symbols.shape[1]
        effective, weight = effective_and_weight(known, variance)
        if span > 1:
            received += _spread(gains, span, count) * symbols
            received *= _spread(weight, span, count)
            return Received(received, _spread(effective, span, count), self.overhead(count))
        gains *= symbols
        received += gains
        received *= weight
        return Received(received, effective)

    def known(
        self, gains: np.ndarray, variance: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """(the receiver's gains, noise variance with the error of the estimate)."""
        if self.csi == "perfect":
            return gains, variance
        if self.csi == "none":
            return np.ones_like(gains), variance
        observed = complex_noise(gains.shape, generator)
        observed *= np.sqrt(variance / self.pilots)
        observed += gains
        estimate, error = estimate_gain(observed, variance, self.pilots, self.estimator, *self.line_of_sight)
        return estimate, variance + error

    def _flip(self, symbols: np.ndarray, generator: np.random.Generator) -> Received:
        """Hard decisions of both axes, each flipped with probability p; the noise gives QPSK the right LLRs."""
        axes = np.where(np.ascontiguousarray(symbols).view(np.float32) < 0, -1, 1)
        axes = np.where(generator.random(axes.shape) < self.p, -axes, axes).astype(np.float32)
        p = min(max(self.p, 1e-9), 0.5 - 1e-9)
        variance = np.full((len(symbols), 1), 2 / math.log((1 - p) / p), np.float32)
        return Received(axes.view(np.complex64) * np.float32(math.sqrt(0.5)) / (1 + variance), variance)


def _spread(values: np.ndarray, span: int, count: int) -> np.ndarray:
    """(rows, blocks) -> (rows, count), or (rows, 1) if there is one block."""
    return values if values.shape[1] == 1 else np.repeat(values, span, axis=1)[:, :count]
