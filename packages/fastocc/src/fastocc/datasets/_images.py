"""Images as the network takes them: decoded, scaled to a width, cut at the top."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ninefold.errors import ArtifactError, InputError

if TYPE_CHECKING:
    from PIL import Image

_PADDED = 32  # rows: less than the stride of the deepest feature map
_MEAN = (124, 116, 104)  # what the networks subtract


def read_image(
    path: Path, name: str, intrinsic: np.ndarray, size: tuple[int, int] | None, *, draft: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 and the (3, 3) intrinsic that goes with it.

    Args:
        path: the file. name: of its camera, for messages. intrinsic: (3, 3), of the file.
        size: (height, width): the image is scaled to that width and cut at the top; up to 31 rows that it is too low
            are filled with the mean colour at the bottom, as OccNet fills 450 rows to 480. None leaves it.
        draft: let the JPEG decoder halve images that are at least twice as large.
    Raises: ArtifactError if the file is missing or damaged; InputError if the scaled image is lower than asked for.
    """
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise ArtifactError(path, f"is not there (camera {name})")
    try:
        with Image.open(path) as file:
            full = file.size
            if draft and size is not None:
                file.draft("RGB", (size[1], round(full[1] * size[1] / full[0])))
            image = file.convert("RGB")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ArtifactError(path, f"is truncated, or no image (camera {name}: {error})") from None
    pixels, crop = fit_image(image, (full[1], full[0]), size, path)
    return pixels, intrinsic if crop is None else crop @ intrinsic


def fit_image(
    image: Image.Image, full: tuple[int, int], size: tuple[int, int] | None, where: object
) -> tuple[np.ndarray, np.ndarray | None]:
    """Scale an image to a width, and cut or pad its rows.

    Args:
        image: RGB, perhaps already halved by its decoder. full: (height, width) of the file. size: as in `read_image`.
        where: its place, for messages.
    Returns: (H, W, 3) uint8, and the (3, 3) matrix from pixels of the file to these; None if nothing changed.
    """
    from PIL import Image

    if size is None or full == size:
        return np.asarray(image), None
    height, width = size
    scale = width / full[1]
    rows = round(full[0] * scale)
    cut = rows - height
    if cut <= -_PADDED:
        raise InputError("size", got=size, expected=f"at most {rows + _PADDED - 1} rows", where=str(where))
    pixels = np.asarray(image.resize((width, rows), Image.Resampling.BILINEAR))
    if cut < 0:
        pixels = np.concatenate([pixels, np.broadcast_to(np.array(_MEAN, np.uint8), (-cut, width, 3))])
        cut = 0
    return pixels[cut:], np.array([[scale, 0, 0], [0, scale, -cut], [0, 0, 1.0]])
