"""Symbols as samples of a radio, and back from a recording whose start, frequency, phase and gain nobody knows.

Root-raised-cosine pulses. A preamble of known symbols tells start and frequency; a sync word before each frame of data,
and one after the last, tells timing, phase and gain, which are interpolated between them. A constant and echoes are
taken out by `_equaliser`. All known symbols are counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError

from semcom.phy._equaliser import Heard, echo_of, equalised
from semcom.phy._modulation import Modulation

_PART = 16  # symbols of the preamble that are added coherently before the frequency is known
_LEAST = 0.15  # share of the energy that a preamble explains; noise and data explain about 1 / _PART
_COHERENT = 0.05  # the same of the preamble as a whole; noise and data explain about one in so many symbols
_CHUNK = 1 << 18  # starts that are looked at together, so that a long recording takes no more memory
_TAPS = np.arange(-7, 9)  # samples about an instant from which its value is interpolated


@dataclass(frozen=True)
class Waveform:
    """How symbols become samples.

    Attributes:
        samples: samples of a symbol.
        rolloff: of the root-raised-cosine pulses.
        frame: data symbols between two sync words.
        sync: symbols of a sync word.
        preamble: symbols of the preamble, a multiple of 16.

    Examples:
        >>> import numpy as np
        >>> from semcom.phy import Waveform, complex_noise

        >>> rng = np.random.default_rng(0)
        >>> symbols, waveform = complex_noise((1, 5000), rng)[0], Waveform()
        >>> samples = waveform.modulate(symbols)
        >>> turned = samples * np.exp(2j * np.pi * (0.005 * np.arange(len(samples)) + 0.3))  # 5 kHz at 1 Msample/s
        >>> recorded = np.concatenate([0.01 * complex_noise((1, 777), rng)[0], 0.2 * turned])
        >>> found, noise = waveform.demodulate(recorded, 5000)
        >>> bool(np.mean(np.abs(found - symbols) ** 2) < 0.01)
        True
    """

    samples: int = 4
    rolloff: float = 0.25
    frame: int = 2048
    sync: int = 64
    preamble: int = 512

    def __post_init__(self) -> None:
        good = self.samples >= 2 and 0 < self.rolloff <= 1 and min(self.frame, self.sync) >= 1
        good = good and self.samples <= 64 and max(self.frame, self.sync, self.preamble) <= 1 << 20
        if not good or self.preamble < 8 * _PART or self.preamble % _PART:
            raise InputError("waveform", got=self, expected="2 to 64 samples, a rolloff in (0, 1], counts from 1")

    @property
    def pulse(self) -> np.ndarray:
        """Root-raised-cosine pulse of unit energy over 16 symbols: float64."""
        t = np.arange(-8 * self.samples, 8 * self.samples + 1) / self.samples + 1e-9  # beside its removable poles
        b = self.rolloff
        top = np.sin(np.pi * t * (1 - b)) + 4 * b * t * np.cos(np.pi * t * (1 + b))
        values = top / (np.pi * t * (1 - (4 * b * t) ** 2))
        return values / np.sqrt(np.sum(values**2))

    def overhead(self, count: int) -> int:
        """Symbols of preamble and sync words for `count` data symbols."""
        return self.preamble + self.sync * (1 - (-count // self.frame))

    def modulate(self, symbols: np.ndarray) -> np.ndarray:
        """Samples, complex64, of symbols (n,)."""
        from scipy.signal import upfirdn  # half a second that other verbs need not wait for

        parts = [_known(self.preamble, 1)]
        for begin in range(0, len(symbols), self.frame):
            parts += [_known(self.sync, 2), symbols[begin : begin + self.frame]]
        return upfirdn(self.pulse, np.concatenate([*parts, _known(self.sync, 2)]), self.samples).astype(np.complex64)

    def demodulate(self, samples: np.ndarray, count: int) -> tuple[np.ndarray, float]:
        """Symbols (count,) complex64, scaled to the sender's power, and the noise variance of one; see `receive`."""
        heard = self.receive(samples, count)
        return heard.symbols, heard.noise

    def receive(self, samples: np.ndarray, count: int) -> Heard:
        """Find the symbols in recorded samples; a carrier offset, its drift, a constant and echoes are taken out.

        Args:
            samples: (m,) complex, from before the first sample to after the last one.
            count: data symbols.
        Raises:
            InputError: if there is no preamble, or the recording ends too early.
        """
        samples = np.asarray(samples)
        if samples.ndim != 1:
            raise InputError("samples", got=f"shape {samples.shape}", expected="(m,)")
        if not np.isfinite(samples).all():
            got = f"NaN or infinity at sample {int(np.isfinite(samples).argmin())}"
            raise InputError("samples", got=got, expected="finite values: another type or byte order?")
        total = count + self.overhead(count)
        loudest = np.float32(max(np.abs(samples).max(initial=0), 1e-37))
        samples = samples / loudest
        level = np.mean(samples, dtype=np.complex128) if len(samples) else 0.0
        samples = (samples - level).astype(np.complex64)
        heard = self._filtered(samples)
        start, turn = self._start(heard, len(heard) - self.samples * (total - 1) - 32)
        first = max(int(start) - 128, 0)  # what follows is of the length of the frames, whatever was recorded besides
        start, part = start - first, samples[first:][: int(1.001 * self.samples * total) + 1024]
        carrier = np.exp(-2j * np.pi * turn * np.arange(len(part)))
        heard = self._filtered(part * carrier)
        places = np.minimum(np.arange(0, count + self.frame, self.frame), count)  # data before each sync word
        places = places + self.preamble + self.sync * np.arange(len(places))
        word, begin, gains, starts = _known(self.sync, 2), start, [], []
        for place in places:
            begin, gain = self._synced(heard, begin, place, word)
            starts.append(begin)
            gains.append(gain)
        at, middle = np.arange(total), places + (self.sync - 1) / 2
        turns = _unwrapped(np.angle(gains), middle)
        phase, instants = _between(at, middle, turns), np.interp(at, middle, starts) + self.samples * at
        values, half = np.empty(2 * total, np.complex64), self.samples / 2
        for place in (0, 1):
            values[place::2] = self._values(heard, instants + place * half) * np.exp(-1j * phase)
        constant = self._values(self._filtered(carrier), instants) * np.exp(-1j * phase)
        where = np.concatenate([np.arange(self.preamble), (places[:, None] + np.arange(self.sync)).ravel()])
        known = np.concatenate([_known(self.preamble, 1), np.tile(word, len(places))])
        echo = echo_of(values[: 2 * self.preamble : 2], known[: self.preamble])
        kept, noise, pays = equalised(values, known, where, constant)
        slopes = np.diff(turns) / np.diff(middle) / (2 * np.pi * self.samples)
        drift = float(slopes[-1] - slopes[0])
        dc = float(abs(level) / np.sqrt(np.mean(np.abs(part) ** 2)))
        corrected = ("carrier offset", *(("DC offset",) if dc > 0.03 else ()), *(("echo",) if pays else ()))
        data = np.ones(total, bool)
        data[where] = False
        return Heard(kept[data].astype(np.complex64), noise, float(turn + slopes[0]), drift, dc, echo, corrected)

    def _filtered(self, samples: np.ndarray) -> np.ndarray:
        """Samples after the matched filter, with 16 zeros on both sides."""
        from scipy.signal import oaconvolve

        return np.pad(oaconvolve(samples, self.pulse.astype(np.float32)), 16)

    def _start(self, heard: np.ndarray, latest: int) -> tuple[float, float]:
        """(instant of the preamble's first symbol, frequency in cycles a sample) of matched-filtered samples."""
        if latest < 1:
            raise InputError("samples", got=f"{len(heard)}", expected="a recording to the end of the last frame")
        for far in (0, 1, -1, 2, -2, 3, -3):  # parts of the preamble add up within .7 steps of the frequency
            place, share = self._likeliest(heard, latest, far / (_PART * self.samples))
            start, turn, coherent = self._refined(heard, place)
            if share >= _LEAST and coherent >= _COHERENT:
                return start, turn
        expected = "a recording of `semcom channel modulate` at its sample rate, the carrier within a twentieth of it"
        raise InputError("samples", got="no preamble", expected=expected)

    def _refined(self, heard: np.ndarray, place: int) -> tuple[float, float, float]:
        """(instant, frequency, share of the energy that the preamble explains as a whole) near a start."""
        known = _known(self.preamble, 1)
        at = place + self.samples * np.arange(self.preamble)
        spectrum = np.abs(np.fft.fft(heard[at] * known.conj(), 64 * len(known)))
        turn = np.fft.fftfreq(len(spectrum))[int(spectrum.argmax())] / self.samples
        turned = known * np.exp(2j * np.pi * turn * at)
        near = np.array([abs(np.vdot(turned, heard[at + step])) for step in (-1, 0, 1) if place + step >= 0])
        share = spectrum.max() ** 2 / max(len(known) * np.vdot(heard[at], heard[at]).real, 1e-20)
        return place - min(place, 1) + _peak(near), turn, share

    def _likeliest(self, heard: np.ndarray, latest: int, turn: float) -> tuple[int, float]:
        """Where before `latest` the preamble, at this frequency, explains most of the energy, and its share."""
        from scipy.signal import oaconvolve

        width, length = self.samples * (self.preamble - 1), self.samples * (_PART - 1) + 1
        power = np.concatenate([[0], np.cumsum(np.abs(heard) ** 2, dtype=np.float64)])
        energy = (power[width + 1 : width + 1 + latest] - power[:latest]) / self.samples
        combs = np.zeros((self.preamble // _PART, length), np.complex64)
        combs[:, :: self.samples] = _known(self.preamble, 1).reshape(-1, _PART)
        combs *= np.exp(2j * np.pi * turn * np.arange(length)).astype(np.complex64)
        share = np.empty(latest)
        for begin in range(0, latest, _CHUNK):
            size = min(_CHUNK, latest - begin)
            found = np.zeros(size)
            for place, comb in enumerate(combs):
                part = heard[begin + place * _PART * self.samples :][: size + length - 1]
                found += np.abs(oaconvolve(part, comb.conj()[::-1], mode="valid")) ** 2
            share[begin : begin + size] = found / np.maximum(_PART * energy[begin : begin + size], 1e-20)
        share *= energy > 1e-3 * energy.max()
        return int(share.argmax()), float(share.max())

    def _synced(self, heard: np.ndarray, begin: float, place: int, word: np.ndarray) -> tuple[float, complex]:
        """(start as this sync word has it, complex gain) near an expected start of the stream."""
        at = self.samples * (place + np.arange(self.sync))
        tries = begin + np.array([-0.5, 0.0, 0.5])
        found = [np.vdot(word, self._values(heard, one + at)) / self.sync for one in tries]
        step = float(np.clip(0.5 * (_peak(np.abs(found)) - 1), -0.5, 0.5))
        return begin + step, complex(np.vdot(word, self._values(heard, begin + step + at)) / self.sync)

    @staticmethod
    def _values(heard: np.ndarray, instants: np.ndarray) -> np.ndarray:
        """Values between samples, by a windowed sinc."""
        whole = np.clip(np.floor(instants).astype(int), -_TAPS[0], len(heard) - 1 - _TAPS[-1])
        away = instants[:, None] - whole[:, None] - _TAPS
        return (heard[whole[:, None] + _TAPS] * np.sinc(away) * np.cos(np.pi * away / 17).clip(0)).sum(axis=1)


def _known(count: int, seed: int) -> np.ndarray:
    """Pseudo-random QPSK symbols that both sides know."""
    bits = np.random.Generator(np.random.PCG64([38211, seed])).integers(0, 2, (1, 2 * count), dtype=np.uint8)
    return Modulation("qpsk").modulate(bits)[0]


def _unwrapped(angles: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Angles at increasing places `at` as a line that bends: each is the nearest to where the two before it lead."""
    turns = list(angles[:1])
    for place, angle in enumerate(angles[1:], 1):
        slope = (turns[-1] - turns[-2]) / (at[place - 1] - at[place - 2]) if len(turns) > 1 else 0
        ahead = turns[-1] + slope * (at[place] - at[place - 1])
        turns.append(angle + 2 * np.pi * np.round((ahead - angle) / (2 * np.pi)))
    return np.array(turns)


def _between(at: np.ndarray, middle: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Phases at symbols, of those at sync words: a cubic where there are four or more."""
    if len(middle) < 4:
        return np.interp(at, middle, turns)
    from scipy.interpolate import CubicSpline

    inside = np.clip(at, middle[0], middle[-1])
    spline = CubicSpline(middle, turns, bc_type="not-a-knot")
    return spline(inside) + spline(inside, 1) * (at - inside)


def _peak(three: np.ndarray) -> float:
    """Place of the top of a parabola through values at 0, 1 and 2 (or of the largest, of fewer)."""
    if len(three) < 3:
        return float(np.argmax(three))
    bend = three[0] - 2 * three[1] + three[2]
    return float(np.clip(1 + (0.5 * (three[0] - three[2]) / bend if bend < 0 else 0.0), 0, 2))
