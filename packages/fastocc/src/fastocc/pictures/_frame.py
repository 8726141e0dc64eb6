"""One frame of a data set as a file: its labels, or volumes of the same grid in their place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ninefold.errors import InputError
from ninefold.files import write_text

from fastocc.datasets import OccDataset
from fastocc.pictures._bird import bird_view
from fastocc.pictures._overlay import overlay_sheet
from fastocc.pictures._render import save_png, with_legend
from fastocc.pictures._viewer import viewer_html

VIEWS = ("bird", "overlay")


def check_picture(path: Path, view: str) -> None:
    """Refuse a file that is neither .png nor .html, and a view that is none of `VIEWS`."""
    if path.suffix not in (".png", ".html"):
        raise InputError("--out", got=path.name, expected="a .png or .html file")
    if view not in VIEWS:
        raise InputError("--view", got=repr(view), expected="bird or overlay")


def draw_frame(
    data: OccDataset, at: int, path: Path, volumes: Mapping[str, np.ndarray] | None = None, *, view: str = "bird",
    force: bool = False,
) -> dict[str, object]:  # fmt: skip
    """Draw a frame into a .png file (seen from above, or over its images) or an .html file (3D viewer).

    Args:
        data: the data set. at: index of the frame. path: the file.
        volumes: predicted (X, Y, Z) labels by name; the first is drawn, else the frame's own labels.
        view: "bird" or "overlay", of a .png file. force: replace a picture of an earlier run.
    Returns: the file, the frame's token, and names of the volumes.
    Raises: InputError for another kind of file or view.
    """
    check_picture(path, view)
    one, classes, free = data[at], data.format.classes, data.format.free
    shown = {**(volumes or {}), **({"labels": one.labels.semantics} if one.labels else {})}
    first = next(iter(shown.values()))
    if path.suffix == ".html":
        page = viewer_html(shown, data.grid, classes, free, f"{one.scene} {one.token}")
        write_text(path, page, force=force, ours="fastocc")
    else:
        if view == "bird":
            picture = bird_view(first, classes, free, mask=one.labels.mask_camera if one.labels else None)
        else:
            cameras = (one.cam2img, one.cam2ego, classes, free)
            picture = overlay_sheet(one.images, first, data.grid, *cameras, lens=one.lens)
        save_png(with_legend(picture, first, classes, free), path, force=force)
    return {"file": path, "frame": one.token, "shows": ", ".join(shown)}
