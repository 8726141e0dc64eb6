"""Picture metrics."""

from __future__ import annotations

import numpy as np
from ninefold.errors import InputError
from scipy.ndimage import correlate1d


def psnr(images: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each picture in dB: (n, H, W, 3) uint8 twice -> (n,); equal pictures give 100."""
    if images.shape != references.shape:
        raise InputError("pictures", got=f"shapes {images.shape} and {references.shape}", expected="the same shape")
    error = (images.astype(np.float32) - references).reshape(len(images), -1)
    mean = (error.astype(np.float64) ** 2).mean(axis=1) / 255**2
    return np.minimum(-10 * np.log10(np.maximum(mean, 1e-10)), 100.0)


def _structure(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM of two planes of floats in [0, 255], 11-tap Gaussian window of 1.5."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()

    def smooth(x: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(x, window, axis=0), window, axis=1)[5:-5, 5:-5]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = smooth(a), smooth(b)
    va, vb, vab = smooth(a * a) - ma**2, smooth(b * b) - mb**2, smooth(a * b) - ma * mb
    contrast = (2 * vab + c2) / (va + vb + c2)
    return float(((2 * ma * mb + c1) / (ma**2 + mb**2 + c1) * contrast).mean())


def ssim(images: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Structural similarity of each picture, mean over colours: (n, H, W, 3) uint8 twice -> (n,)."""
    side = min(images.shape[1:3])
    if side < 11:
        raise InputError("SSIM", got=f"pictures of {side} pixels", expected="at least 11")
    pairs = zip(images.astype(np.float64), references.astype(np.float64), strict=True)
    return np.array([np.mean([_structure(a[..., c], b[..., c]) for c in range(3)]) for a, b in pairs])
