"""Deformable 2D lifting: one convolution takes the bird's-eye view to voxels.

- `_deform.py`: modulated deformable convolution: native (torchvision), decomposed (nine samplings and a product) and
  gathered (sums of rows and products, block by block)
- `_lift.py`: the three ways of lifting, `dcn` (the publication's), `conv`, `linear`
"""

from fastocc.lifting._deform import (
    DeformConv,
    deform_conv_decomposed,
    deform_conv_gathered,
    deform_conv_native,
    faster_backend,
    offset_parameters,
    set_backend,
)
from fastocc.lifting._lift import LIFTS, ConvLift, DcnLift, Lift, LinearLift

__all__ = [
    "LIFTS",
    "ConvLift",
    "DcnLift",
    "DeformConv",
    "Lift",
    "LinearLift",
    "deform_conv_decomposed",
    "deform_conv_gathered",
    "deform_conv_native",
    "faster_backend",
    "offset_parameters",
    "set_backend",
]
