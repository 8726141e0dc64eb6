"""What the kernels are given, grouped: the same for numba and numpy."""

from __future__ import annotations

from typing import Any, NamedTuple

LANES = 16  # output channels of a panel
PLANE = 16  # pixels of a picture that `pack_planes` works on together: it needs as many
SUBSETS = 16  # fours of inputs whose sums stand in the table of `_subsets.py` together: 16 KB
Array = Any  # a numpy array outside compiled code, numba's own type inside


class Place(NamedTuple):
    """Where a convolution stands in pictures of one size, see `_geometry.Bound`."""

    shape: Array  # (10,) int64: out_h, out_w, kernel_h, kernel_w; stride, padding, dilation, each vertical, horizontal
    down: Array  # (out_h, 3) int64: first and last + 1 of the kernel's steps inside the picture, class of the row
    across: Array  # (out_w, 3) int64: the same for columns


class Filters(NamedTuple):
    """Weights of a convolution."""

    channels: int  # inputs of a group
    each: int  # outputs of a group
    panels: Array  # (groups, p, ...): 16 outputs side by side, for each step along the reduced axis


class Sums(NamedTuple):
    """An output of exact sums."""

    start: Array  # (classes, groups, 16 p) int32: sums of bits that all agree, inside the picture
    out: Array  # (pixels, channels) int32


class Numbers(NamedTuple):
    """An output of float32: y = rectify(scale d + sums t + shift + residual), d the sum, t that of the inputs."""

    start: Array  # as in `Sums`; not looked at where the inputs are numbers
    table: Array  # (classes or 1, groups, p, 7, 16) float32: scale, sums, shift, then the four of `rectify`
    summed: bool  # whether any of `sums` counts
    rectified: bool  # whether any of shift_in, positive, negative, shift_out does
    residual: Array  # (pixels, channels) float32, or (0, 0)
    out: Array  # (pixels, channels) float32, or (n channels, pixels of a picture)
    planes: int  # pixels of a picture if `out` has channels first, else 0
    finite: Array  # (1,) bool: made False where an `out` with channels first gets NaN or infinity
    origin: int  # the pixel that `out` begins with


class Bits(NamedTuple):
    """An output of bits: sum >= bound, turned where flip is -1."""

    start: Array  # as in `Sums`
    bounds: Array  # (groups, p, 2, 16) int32: bound, flip
    out: Array  # (pixels, words) uint64
