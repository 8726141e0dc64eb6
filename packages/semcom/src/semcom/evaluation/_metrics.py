"""Picture metrics."""

from __future__ import annotations

import numpy as np
from ninefold.errors import InputError
from scipy.ndimage import correlate1d

_MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def psnr(images: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each picture in dB: (n, H, W, 3) uint8 twice -> (n,); equal pictures give 100."""
    if images.shape != references.shape:
        raise InputError("pictures", got=f"shapes {images.shape} and {references.shape}", expected="the same shape")
    error = (images.astype(np.float32) - references).reshape(len(images), -1)
    mean = (error.astype(np.float64) ** 2).mean(axis=1) / 255**2
    return np.minimum(-10 * np.log10(np.maximum(mean, 1e-10)), 100.0)


def _structure(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """(SSIM, its contrast and structure part) of two planes of floats in [0, 255], 11-tap Gaussian window of 1.5."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()

    def smooth(x: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(x, window, axis=0), window, axis=1)[5:-5, 5:-5]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = smooth(a), smooth(b)
    va, vb, vab = smooth(a * a) - ma**2, smooth(b * b) - mb**2, smooth(a * b) - ma * mb
    contrast = (2 * vab + c2) / (va + vb + c2)
    return float(((2 * ma * mb + c1) / (ma**2 + mb**2 + c1) * contrast).mean()), float(contrast.mean())


def ssim(images: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Structural similarity of each picture, mean over colours: (n, H, W, 3) uint8 twice -> (n,)."""
    _check_side(images, 11, "SSIM")
    pairs = zip(images.astype(np.float64), references.astype(np.float64), strict=True)
    return np.array([np.mean([_structure(a[..., c], b[..., c])[0] for c in range(3)]) for a, b in pairs])


def ms_ssim(images: np.ndarray, references: np.ndarray, scales: int = 5) -> np.ndarray:
    """Multi-scale SSIM (Wang et al. 2003) of each picture -> (n,).

    Raises:
        InputError: if the pictures are too small for the scales; says how large they must be.
    """
    _check_side(images, 10 * 2 ** (scales - 1) + 1, f"MS-SSIM of {scales} scales")
    weights = np.array(_MS_WEIGHTS[:scales]) / sum(_MS_WEIGHTS[:scales])
    result = []
    for a, b in zip(images.astype(np.float64), references.astype(np.float64), strict=True):
        parts = []
        for scale in range(scales):
            both = [_structure(a[..., c], b[..., c]) for c in range(3)]
            parts.append(max(np.mean([one[0 if scale == scales - 1 else 1] for one in both]), 0.0))
            a, b = (x[: len(x) // 2 * 2, : x.shape[1] // 2 * 2] for x in (a, b))
            a, b = ((x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4 for x in (a, b))
        result.append(float(np.prod(np.array(parts) ** weights)))
    return np.array(result)


def _check_side(images: np.ndarray, least: int, what: str) -> None:
    side = min(images.shape[1:3])
    if side < least:
        raise InputError(what, got=f"pictures of {side} pixels", expected=f"at least {least}, or fewer scales")
