"""Estimated means as one file on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ninefold import artifacts

KIND, FORMAT = "template-package.estimate", 1


@dataclass(frozen=True)
class Estimate:
    """Estimated means as they are kept on disk.

    Attributes:
        means: (d,) float64.
        method: name of what made them.

    Examples:
        >>> import numpy as np
        >>> from template_package import Estimate

        >>> Estimate(np.array([0.5, 1.5]), "james-stein").save("means.safetensors")
        >>> Estimate.load("means.safetensors")
        Estimate(means=array([0.5, 1.5]), method='james-stein')
    """

    means: np.ndarray
    method: str

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write one file; ArtifactError if it exists and `force` is off."""
        meta = {"method": self.method}
        artifacts.save(
            path,
            {"means": self.means},
            kind=KIND,
            format_version=FORMAT,
            package="template_package",
            meta=meta,
            force=force,
        )

    @classmethod
    def load(cls, path: str | Path) -> Estimate:
        """Read what `save` wrote; ArtifactError with path and reason if it is not whole."""
        artifact = artifacts.Artifact(path, kind=KIND, format_version=FORMAT)
        return cls(artifact.numpy("means"), artifact.meta["method"])
