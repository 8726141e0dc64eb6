"""`render`: one call for a picture file, by its suffix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ninefold.errors import InputError
from ninefold.files import atomic_file, mark, write_text

from fastocc.datasets import LabelFormat
from fastocc.geometry import GridSpec
from fastocc.pictures._bird import bird_view
from fastocc.pictures._viewer import viewer_html


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
    """
    path, labels = Path(path), LabelFormat.named(format)
    if path.suffix == ".html":
        spec = grid or labels.spec
        write_text(
            path, viewer_html({"voxels": semantics}, spec, labels.classes, labels.free), force=force, ours="fastocc"
        )
    elif path.suffix == ".png":
        save_png(bird_view(semantics, labels.classes, labels.free, mask=mask), path, force=force)
    else:
        raise InputError("path", got=path.name, expected="a .png or .html file")
    return path


def save_png(picture: np.ndarray, path: Path, *, force: bool = False) -> None:
    """Write an (H, W, 3) uint8 array as PNG, whole or not at all; `force` replaces a picture of this package."""
    from PIL import Image, PngImagePlugin

    about = PngImagePlugin.PngInfo()
    about.add_text("Software", mark("fastocc"))
    with atomic_file(path, force=force, ours="fastocc") as temporary:
        Image.fromarray(picture).save(temporary, format="png", pnginfo=about)
