"""The sample mean, the maximum-likelihood estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from template_package.shrinkage import checked


@dataclass(frozen=True)
class SampleMean:
    """Each mean by itself."""

    name: ClassVar[str] = "sample-mean"

    def estimate(self, samples: np.ndarray) -> np.ndarray:
        """(n, d) samples -> (d,) estimates of their means."""
        return checked(samples).mean(axis=0)
