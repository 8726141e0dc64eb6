"""Deformable 2D lifting: one convolution takes the bird's-eye view to voxels.

- `_deform.py`: modulated deformable convolution, native (torchvision) and decomposed (nine samplings and a product)
- `_lift.py`: the five ways of lifting, `dcn` (the publication's), `dcn_split`, `dcn_z`, `conv`, `linear`
"""

from fastocc.lifting._deform import DeformConv, deform_conv_decomposed, deform_conv_native, faster_backend, set_backend
from fastocc.lifting._lift import LIFTS, ConvLift, DcnLift, DcnSplitLift, DcnZLift, Lift, LinearLift

__all__ = [
    "LIFTS",
    "ConvLift",
    "DcnLift",
    "DcnSplitLift",
    "DcnZLift",
    "DeformConv",
    "Lift",
    "LinearLift",
    "deform_conv_decomposed",
    "deform_conv_native",
    "faster_backend",
    "set_backend",
]
