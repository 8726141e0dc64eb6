"""Rivals that share the masked autoencoder: other fillings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np

from semcom.links import Delivered
from semcom.paper._inpaint import harmonic_fill, mean_fill
from semcom.paper._link import CarrierImageLink
from semcom.phy import Received


class MeanFill(CarrierImageLink):
    """The same link; masked patches get the mean colour of the received kept ones."""

    name: ClassVar[str] = "mean fill"
    source: ClassVar[str] = "control"
    fill: ClassVar[Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = staticmethod(mean_fill)

    def recover(self, received: Received, snr_db: float = 0.0) -> Delivered:
        delivered = super().recover(received, snr_db)
        assert delivered.masks is not None
        filled = type(self).fill(delivered.images, delivered.masks, self.model.patch_size)
        return replace(delivered, images=filled)


class Harmonic(MeanFill):
    """The same link; masked pixels solve Laplace's equation with the received kept patches as boundary."""

    name: ClassVar[str] = "harmonic inpainting"
    fill: ClassVar[Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = staticmethod(harmonic_fill)
