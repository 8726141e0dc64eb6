"""What a radio adds to a recording, found from known symbols and taken out: a constant, and echoes.

The equaliser is a short filter of two taps a symbol, by least squares from preamble and sync words. It is the best
linear one for symbols of any distribution; where it gains nothing the values pass as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_TAPS = np.arange(-8, 17)  # half symbols after the one that is estimated
_PATHS = np.arange(-4, 9)  # delays in symbols among which an echo is looked for
_GAIN = 0.9  # an equaliser is used where it leaves less than this share of the error


@dataclass(frozen=True)
class Heard:
    """A recording's symbols, and what was found of the radio.

    Attributes:
        symbols: (n,) complex64, scaled to the sender's power.
        noise: noise variance of a symbol.
        snr_db: 1 / noise in decibels.
        offset: carrier offset at the start, in cycles a sample.
        drift: its change to the end, in cycles a sample.
        dc: constant offset by root mean square of the recorded signal.
        echo_db: strongest echo by the direct path, in decibels.
        corrected: of `carrier offset`, `DC offset` and `echo`, what was taken out.
        warnings: a sentence on each quality that is bad.
    """

    symbols: np.ndarray
    noise: float
    offset: float
    drift: float
    dc: float
    echo_db: float
    corrected: tuple[str, ...]

    @property
    def snr_db(self) -> float:
        return float(-10 * np.log10(max(self.noise, 1e-12)))

    @property
    def warnings(self) -> list[str]:
        found = []
        if self.snr_db < 0:
            found.append(f"SNR of {self.snr_db:.1f} dB: coded blocks are likely to fail")
        if self.echo_db > -10:
            found.append(f"echo of {self.echo_db:.1f} dB: the equaliser cannot undo all of it")
        if self.dc > 0.1:
            found.append(f"DC offset of {self.dc:.2f} times the signal's root mean square")
        return found


def echo_of(values: np.ndarray, known: np.ndarray) -> float:
    """Strongest echo in decibels of values (n,) of successive known symbols."""
    rows = np.stack([np.roll(known, shift) for shift in _PATHS], axis=1)[len(_PATHS) : -len(_PATHS)]
    paths = np.abs(np.linalg.lstsq(rows, values[len(_PATHS) : -len(_PATHS)], rcond=None)[0])
    direct = int(paths.argmax())
    return float(20 * np.log10(max(np.delete(paths, direct).max(), 1e-6) / paths[direct]))


def equalised(
    values: np.ndarray, known: np.ndarray, places: np.ndarray, constant: np.ndarray
) -> tuple[np.ndarray, float, bool]:
    """Values without the recording's constant and, where it pays, without echoes.

    Args:
        values: (2 n,) complex, two a symbol, without a carrier.
        known: (m,) known symbols. places: (m,) where they are among the n.
        constant: (n,) what a constant of 1 in the recording adds to the symbols.
    Returns: (n,) values scaled to the known symbols, the noise variance of one, and whether echoes were taken out.
    """
    padded = np.pad(values, len(_TAPS))
    shifted = [padded[len(_TAPS) + tap :: 2][: len(constant)] for tap in _TAPS]
    single = np.stack([values[::2], constant], axis=1)
    many = np.stack([*shifted, constant], axis=1)
    best, kept, pays = np.inf, single, False
    for columns in (single, many):
        taps = np.linalg.lstsq(columns[places], known, rcond=None)[0]
        rest = known - columns[places] @ taps
        error = float(np.vdot(rest, rest).real / (len(known) - columns.shape[1]))  # of the degrees of freedom left
        if error < _GAIN * best:
            best, kept, pays = error, columns @ taps, columns is many
    gain = float(np.vdot(known, kept[places]).real / np.vdot(known, known).real)  # least squares shrinks
    kept = kept / gain
    noise = float(np.mean(np.abs(kept[places] - known) ** 2))
    return kept, noise, pays
