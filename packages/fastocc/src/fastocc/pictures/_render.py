"""`render`: one call for a picture file, by its suffix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ninefold.errors import InputError
from ninefold.files import atomic_file, mark, write_text

from fastocc.datasets import LabelFormat
from fastocc.geometry import GridSpec
from fastocc.pictures._bird import bird_view
from fastocc.pictures._colors import colors
from fastocc.pictures._viewer import viewer_html

_ENTRY, _LINE = 150, 16  # pixels of an entry of the legend


def render(
    semantics: np.ndarray, path: str | Path, *, grid: GridSpec | None = None, format: str = "sim",  # noqa: A002
    mask: np.ndarray | None = None, force: bool = False,
) -> Path:  # fmt: skip
    """Draw (X, Y, Z) labels into a file.

    Args:
        semantics: labels of `format`. path: .png for a bird view, .html for the viewer.
        grid: of the labels, for the viewer's scale; default the format's.
        mask: (X, Y, Z) bool, what was visible; darkens the rest of a bird view.
    Returns: the path.

    Examples:
        >>> from fastocc import CameraRig, GridSpec, Scene, render

        >>> rig, grid = CameraRig.nominal(32, 64), GridSpec.named("micro")
        >>> frame = Scene(seed=7).frame(0, rig, grid)

        >>> render(frame.semantics, "street.png", grid=grid).stat().st_size > 0
        True
        >>> render(frame.semantics, "street.html", grid=grid).read_text()[:15]
        '<!doctype html>'
    """
    path, labels = Path(path), LabelFormat.named(format)
    if path.suffix == ".html":
        spec = grid or labels.spec
        write_text(
            path, viewer_html({"voxels": semantics}, spec, labels.classes, labels.free), force=force, ours="fastocc"
        )
    elif path.suffix == ".png":
        picture = bird_view(semantics, labels.classes, labels.free, mask=mask)
        save_png(with_legend(picture, semantics, labels.classes, labels.free), path, force=force)
    else:
        raise InputError("path", got=path.name, expected="a .png or .html file")
    return path


def with_legend(picture: np.ndarray, semantics: np.ndarray, classes: tuple[str, ...], free: int) -> np.ndarray:
    """A picture (H, W, 3) with a strip below it: colour and name of each class that is in `semantics`."""
    from PIL import Image, ImageDraw

    shown = [at for at in np.unique(semantics) if at != free and at < len(classes)]
    columns = max(1, picture.shape[1] // _ENTRY)
    rows = -(-len(shown) // columns)
    strip = Image.new("RGB", (picture.shape[1], rows * _LINE + 6 if rows else 0), (255, 255, 255))
    pen, table = ImageDraw.Draw(strip), colors(classes)
    for place, label in enumerate(shown):
        x, y = place % columns * _ENTRY + 4, place // columns * _LINE + 5
        pen.rectangle((x, y, x + 10, y + 10), fill=tuple(int(one) for one in table[label]))
        pen.text((x + 15, y - 1), classes[label].replace("_", " "), fill=(30, 30, 30))
    return np.concatenate([picture, np.asarray(strip)])


def save_png(picture: np.ndarray, path: Path, *, force: bool = False) -> None:
    """Write an (H, W, 3) uint8 array as PNG, whole or not at all; `force` replaces a picture of this package."""
    from PIL import Image, PngImagePlugin

    about = PngImagePlugin.PngInfo()
    about.add_text("Software", mark("fastocc"))
    with atomic_file(path, force=force, ours="fastocc") as temporary:
        Image.fromarray(picture).save(temporary, format="png", pnginfo=about)
