"""Images as the network takes them, decoded, scaled to a width, cut at the top; and files of LiDAR points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from ninefold.errors import ArtifactError, InputError

from fastocc.datasets._formats import IGNORE, LabelFormat
from fastocc.datasets._frames import CameraInfo
from fastocc.geometry import check_center

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

_PADDED = 32  # rows: less than the stride of the deepest feature map
_SAME_SHAPE = 0.02  # relative difference of the two scales of a resampled picture, from rounding its size
_MEAN = (124, 116, 104)  # what the networks subtract
# nuScenes-lidarseg's 32 classes by index, under Occ3D's names (its challenge's 16 classes; other objects are `others`)
_LIDARSEG = (
    None, "others", "pedestrian", "pedestrian", "pedestrian", "others", "pedestrian", "others", "others", "barrier",
    "others", "others", "traffic_cone", "others", "bicycle", "bus", "bus", "car", "construction_vehicle", "others",
    "others", "motorcycle", "trailer", "truck", "driveable_surface", "other_flat", "sidewalk", "terrain", "manmade",
    "others", "vegetation", None,
)  # fmt: skip


def read_image(
    path: Path, name: str, camera: CameraInfo, size: tuple[int, int] | None, *, draft: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 and the (3, 3) intrinsic that goes with it.

    Args:
        path: the file. name: of its camera, for messages. camera: whose intrinsic belongs to the picture as recorded.
        size: (height, width): the image is scaled to that width and cut at the top; up to 31 rows that it is too low
            are filled with the mean colour at the bottom, as OccNet fills 450 rows to 480. None leaves it.
        draft: let the JPEG decoder halve images that are at least twice as large.
    Raises: ArtifactError if the file is missing or damaged; InputError if the scaled image is lower than `size`, or if
        the intrinsic belongs to a picture of another size and the recorded size does not say which.
    """
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise ArtifactError(path, f"is not there (camera {name})")
    try:
        with open_picture(path) as file:
            full = file.size
            if draft and size is not None:
                file.draft("RGB", (size[1], round(full[1] * size[1] / full[0])))
            image = file.convert("RGB")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ArtifactError(path, f"is truncated, or no image (camera {name}: {error})") from None
    rescaled = fit_intrinsic(camera.intrinsic, (full[1], full[0]), camera.size, f"camera {name}", path)
    pixels, crop = fit_image(image, (full[1], full[0]), size, path)
    return pixels, rescaled if crop is None else crop @ rescaled


def open_picture(source: Path | BinaryIO) -> ImageFile:
    """A picture file, opened by Pillow and not decoded yet; the checksums of a PNG are compared.

    Pillow decodes a PNG whose last rows are damaged without an error. JPEG has no checksums: damage that leaves its
    structure readable cannot be detected.

    Raises: what Pillow raises for damaged files: OSError, SyntaxError, ValueError, struct.error and others.
    """
    from PIL import Image

    file = Image.open(source)
    if file.format == "PNG":
        file.verify()
        file = Image.open(source)  # a verified picture cannot be decoded
    return file


def fit_intrinsic(
    intrinsic: np.ndarray, found: tuple[int, int], recorded: tuple[int, int] | None, what: str, where: object
) -> np.ndarray:
    """The (3, 3) intrinsic of a picture that may have been resampled since it was recorded.

    Args:
        intrinsic: (3, 3), for the recorded size. found: (height, width) of the picture. recorded: its recorded size,
            None if unknown. what, where: for messages.
    Raises: InputError if the picture has another shape than was recorded, or if without a recorded size the principal
        point is too far from the middle of the picture.
    """
    if recorded is not None and recorded != found:
        up, across = found[0] / recorded[0], found[1] / recorded[1]
        if abs(up / across - 1) > _SAME_SHAPE:
            raise InputError(
                what, got=f"a picture of {found[0]} x {found[1]}", where=str(where),
                expected=f"{recorded[0]} x {recorded[1]} as recorded", hint="pictures may be scaled, not cropped",
            )  # fmt: skip
        return np.diag([across, up, 1.0]) @ intrinsic
    check_center(intrinsic, found, what, where)
    return intrinsic


def fit_image(
    image: Image.Image, full: tuple[int, int], size: tuple[int, int] | None, where: object
) -> tuple[np.ndarray, np.ndarray | None]:
    """Scale an image to a width, and cut or pad its rows.

    Args:
        image: RGB, possibly already halved by its decoder. full: (height, width) of the file. size: as in `read_image`.
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


def read_points(path: Path, columns: int) -> np.ndarray:
    """(P, 3) float32 points of a file of `columns` float32 a point."""
    table = np.fromfile(path, np.float32)
    if table.size % columns:
        raise ArtifactError(
            path, f"has {table.size} numbers, not {columns} a point: truncated, or of another format"
        )  # fmt: skip
    return table.reshape(-1, columns)[:, :3]


def read_classes(path: Path, count: int, format: LabelFormat, *, nuscenes: bool) -> np.ndarray:  # noqa: A002
    """(P,) uint8 classes of `format` from a file of uint8.

    Args:
        count: P. nuscenes: the file has lidarseg's 32 classes, which are mapped by name; those without one become 255.
    """
    labels = np.fromfile(path, np.uint8)
    if labels.size != count:
        raise ArtifactError(path, f"has {labels.size} labels for {count} points")
    if not nuscenes:
        return labels
    if labels.max(initial=0) >= len(_LIDARSEG):
        raise InputError("lidarseg", got=int(labels.max()), expected=f"0..{len(_LIDARSEG) - 1}", where=path)
    known = {name: at for at, name in enumerate(format.classes)}
    return np.array([known.get(name or "", IGNORE) for name in _LIDARSEG], np.uint8)[labels]
