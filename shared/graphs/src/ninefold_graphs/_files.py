"""Whether what a file holds fits together: digests say that it was written so, not that it is a model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def under(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`, by the rest of it.

    Examples:
        >>> from ninefold_graphs import under
        >>> under({"encoder/idf": 1, "weights": 2}, "encoder/")
        {'idf': 1}
    """
    return {key.removeprefix(prefix): one for key, one in arrays.items() if key.startswith(prefix)}


def check_finite(arrays: Mapping[str, np.ndarray]) -> None:
    """ValueError that names an array with NaN or infinity.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import check_finite
        >>> check_finite({"weights": np.array([1.0, np.nan])})
        Traceback (most recent call last):
        ...
        ValueError: weights has NaN or infinity
    """
    for name, one in arrays.items():
        if one.dtype.kind == "f" and not np.isfinite(one).all():
            raise ValueError(f"{name} has NaN or infinity")


def check_shapes(found: Mapping[str, tuple[np.ndarray, tuple[int, ...]]]) -> None:
    """ValueError that names an array of another shape than the one that the other parts need.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import check_shapes
        >>> check_shapes({"weights": (np.zeros(3), (2,))})
        Traceback (most recent call last):
        ...
        ValueError: weights has shape (3,), where (2,) is needed
    """
    for name, (array, shape) in found.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, where {shape} is needed")
