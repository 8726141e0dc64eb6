"""Pictures: voxels stand where they belong, and the HTML viewer draws in a real browser where there is one."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from fastocc import CameraRig, GridSpec, render
from fastocc.datasets import FORMATS
from fastocc.pictures import bird_view, colors, overlay, overlay_sheet, street_view, viewer_html
from ninefold.errors import ArtifactError, InputError

GRID, NAMES, FREE = GridSpec.named("micro"), FORMATS["sim"].classes, 17
CAR = colors(NAMES)[4].astype(float)


def voxels(*places, label=4):
    volume = np.full(GRID.shape, FREE, np.uint8)
    for place in places:
        volume[place] = label
    return volume


def test_bird_view_has_ahead_above_and_left_at_the_left():
    picture = bird_view(voxels((18, 17, 2)), NAMES, FREE, scale=1)  # far ahead, to the left
    rows, columns = np.nonzero((picture != 245).any(2))
    assert (rows[0], columns[0]) == (1, 2)


def test_topmost_voxel_is_drawn_and_hidden_columns_are_dark():
    volume = voxels((5, 5, 1), label=11)
    volume[5, 5, 6] = 16
    mask = np.zeros(GRID.shape, bool)
    mask[5, 5] = True
    picture = bird_view(volume, NAMES, FREE, mask=mask, scale=1)
    assert picture[14, 14].argmax() == 1  # green: vegetation above the road
    assert picture[0, 0].max() < 150
    with pytest.raises(InputError, match="shape"):
        bird_view(volume[0], NAMES, FREE)


def test_overlay_paints_the_pixels_of_the_voxel_alone():
    rig = CameraRig.nominal(96, 192)
    image = np.zeros((3, 96, 192), np.uint8)
    place = (16, 10, 3)  # ahead
    drawn = overlay(image, voxels(place), GRID, rig.cam2img[0], rig.cam2ego[0], NAMES, FREE, share=1.0)
    center = GRID.centers()[place]
    local = np.linalg.inv(rig.cam2ego[0]) @ [*center, 1]
    pixel = rig.cam2img[0] @ local[:3]
    u, v = (pixel[:2] / pixel[2]).astype(int)
    assert np.abs(drawn[v, u] / drawn[v, u].max() - CAR / CAR.max()).max() < 0.02
    assert 0 < (drawn.any(2)).mean() < 0.2


def test_sheet_holds_any_number_of_cameras():
    rig = CameraRig.nominal(32, 64)
    for count, shape in ((1, (32, 64)), (3, (32, 192)), (5, (64, 192)), (6, (64, 192))):
        images = np.zeros((count, 3, 32, 64), np.uint8)
        sheet = overlay_sheet(images, voxels((16, 10, 3)), GRID, rig.cam2img, rig.cam2ego, NAMES, FREE)
        assert sheet.shape == (*shape, 3)


def test_street_view_shows_what_is_ahead_farther_up_and_what_is_left_farther_left():
    def middle(place):
        rows, columns = np.nonzero((street_view(voxels(place), GRID, NAMES, FREE) != 255).any(2))
        return rows.mean(), columns.mean()

    near, far, right = middle((6, 10, 2)), middle((16, 10, 2)), middle((6, 4, 2))
    assert far[0] < near[0]
    assert right[1] > near[1]
    hidden = street_view(voxels((6, 10, 2)), GRID, NAMES, FREE, mask=np.zeros(GRID.shape, bool))
    assert (hidden == 255).all()


def test_viewer_holds_the_visible_voxels_and_fetches_nothing():
    volume = voxels(*((x, y, z) for x in (4, 5, 6) for y in (4, 5, 6) for z in (2, 3, 4)))
    page = viewer_html({"one": volume, "<two>": volume}, GRID, NAMES, FREE, "a < b")
    about = json.loads(re.search(r"const D = (.*);\n", page)[1].replace("<\\/", "</"))
    held = np.frombuffer(base64.b64decode(about["volumes"]["one"]), "<u2").reshape(-1, 4)
    assert len(held) == 26  # the one in the middle is hidden
    assert set(held[:, 3]) == {4}
    assert not re.search(r"(src|href)=|https?://(?!www\.w3)|import\(|fetch\(", page)
    assert "a &lt; b" in page
    with pytest.raises(InputError, match="volume"):
        viewer_html({"one": volume[:5]}, GRID, NAMES, FREE)


def test_viewer_draws_in_a_browser(tmp_path):
    from PIL import Image

    browser = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    page = tmp_path / "viewer.html"
    render(voxels(*((x, y, 2) for x in range(20) for y in range(20))), page, grid=GRID)
    if browser is None:
        assert "webgl2" in page.read_text()
        return
    shot = tmp_path / "shot.png"
    flags = [
        "--headless",
        "--no-sandbox",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--window-size=600,400",
    ]
    subprocess.run(
        [browser, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000",
         f"--screenshot={shot}", page.as_uri()],
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    picture = np.asarray(Image.open(shot).convert("RGB")).astype(float)
    blue = (picture[:, :, 2] > picture[:, :, 0] + 60).mean()
    assert blue > 0.05  # a field of cars


def test_render_writes_by_suffix_and_replaces_its_own_alone(tmp_path):
    for name in ("a.png", "a.html"):
        path = render(voxels((3, 3, 3)), tmp_path / name, grid=GRID)
        with pytest.raises(ArtifactError, match="exists"):
            render(voxels((3, 3, 3)), path, grid=GRID)
        render(voxels((3, 3, 3)), path, grid=GRID, force=True)
        path.write_text("mine")
        with pytest.raises(ArtifactError, match=name):
            render(voxels((3, 3, 3)), path, grid=GRID, force=True)
    with pytest.raises(InputError, match="png"):
        render(voxels(), tmp_path / "a.gif")


def test_legend_names_the_classes_that_are_shown():
    from fastocc.pictures import bird_view, colors, with_legend

    labels = FORMATS["sim"]
    volume = voxels((3, 3, 3))
    picture = bird_view(volume, labels.classes, labels.free)
    made = with_legend(picture, volume, labels.classes, labels.free)
    assert np.array_equal(made[: len(picture)], picture)
    strip = made[len(picture) :].reshape(-1, 3)
    present = [at for at in np.unique(volume) if at != labels.free]
    for label in range(len(labels.classes)):
        assert (strip == colors(labels.classes)[label]).all(1).any() == (label in present)
    assert with_legend(picture, voxels(), labels.classes, labels.free).shape == picture.shape
