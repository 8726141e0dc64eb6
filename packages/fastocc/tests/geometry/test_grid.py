"""Grid: indices by floor, round trips, flips."""

from __future__ import annotations

import numpy as np
import pytest
from fastocc.geometry import GridSpec, flip_volume
from fastocc.views import bev_augmentation
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import InputError


def test_named_grids_cover_what_the_formats_state():
    assert GridSpec.named("occ3d").upper == pytest.approx((40, 40, 5.4))
    assert GridSpec.named("openocc-v1").upper == pytest.approx((50, 50, 3))
    assert GridSpec.named("semantickitti").upper == pytest.approx((51.2, 25.6, 4.4))


def test_points_just_below_the_grid_stay_outside():
    grid = GridSpec((0, 0, 0), (1, 1, 1), (2, 2, 2))
    index, inside = grid.index(np.array([[-0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [2.0, 0.5, 0.5]]))
    assert index[0, 0] == -1  # truncation would give 0
    assert inside.tolist() == [False, True, False]


def test_centres_lie_in_their_own_voxels():
    grid = GridSpec.named("micro")
    index, inside = grid.index(grid.centers())
    assert inside.all()
    np.testing.assert_array_equal(
        index.reshape(-1, 3), np.stack(np.unravel_index(np.arange(grid.size), grid.shape), -1)
    )


@given(st.booleans(), st.booleans(), st.integers(0, 999))
def test_flipped_labels_are_the_labels_of_flipped_points(flip_x, flip_y, seed):
    grid = GridSpec.named("micro")
    rng = np.random.default_rng(seed)
    volume = rng.integers(0, 18, grid.shape)
    at = rng.integers(0, grid.shape)
    point = grid.centers()[tuple(at)] @ bev_augmentation(flip_x, flip_y).numpy()[:3, :3].T
    moved, inside = grid.index(point)
    assert inside
    assert flip_volume(volume, flip_x, flip_y)[tuple(moved)] == volume[tuple(at)]


@pytest.mark.parametrize("values", [{}, {"lower": [0, 0], "voxel": [1, 1, 1], "shape": [1, 1, 1]}, {"lower": None}])
def test_wrong_grid_fields_are_named(values):
    with pytest.raises(InputError, match="grid"):
        GridSpec.from_dict(values)


def test_grid_comes_back_from_its_dictionary():
    grid = GridSpec.named("semantickitti")
    assert GridSpec.from_dict(grid.to_dict()) == grid


def test_unknown_grid_lists_the_names():
    with pytest.raises(InputError, match="occ3d"):
        GridSpec.named("nope")
