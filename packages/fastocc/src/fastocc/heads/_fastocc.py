"""The method's head: deformable 2D lifting, partial voxel FPN, per-voxel classifier (arXiv 2412.07163)."""

from __future__ import annotations

from typing import ClassVar

from ninefold.errors import InputError
from torch import Tensor, nn

from fastocc.geometry import GridSpec
from fastocc.heads._base import HeadContext, OccHead
from fastocc.lifting import LIFTS, set_backend
from fastocc.voxels import FPNS, VoxelMlp, to_columns


class FastOccHead(OccHead):
    """Usable on any BEV tensor: `FastOccHead(in_channels=256, grid=GridSpec.named("occ3d"), num_classes=18)(bev)`.

    Args:
        in_channels, grid, num_classes, channels: as for each head.
        lift: dcn, conv or linear. fpn: partial, full or none. No ReLU is on the Cv features of a voxel, the FPN adds to
            its input, each height has its own norm after the lift and its own last layer.
        reduce: channels that a 1 x 1 convolution leaves before the lifting, for CPUs; 0 keeps C.
        sparse: biases for sigmoid outputs with focal loss. backend: of deformable convolutions, see `lifting`.

    Examples:
        >>> import torch
        >>> from fastocc import FastOccHead, GridSpec

        >>> head = FastOccHead(in_channels=64, grid=GridSpec.named("micro"), num_classes=18)
        >>> bev = torch.randn(1, 64, 20, 20)  # of any network of your own
        >>> head(bev).shape  # a score of each class for each voxel
        torch.Size([1, 20, 20, 8, 18])
    """

    name: ClassVar[str] = "fastocc"
    source: ClassVar[str] = "arXiv 2412.07163"

    def __init__(
        self,
        in_channels: int,
        grid: GridSpec,
        num_classes: int,
        *,
        channels: int = 8,
        lift: str = "dcn",
        fpn: str = "partial",
        reduce: int = 0,
        sparse: bool = False,
        backend: str = "decomposed",
    ) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        for key, value, known in (("lift", lift, LIFTS), ("fpn", fpn, FPNS)):
            if value not in known:
                raise InputError(key, got=repr(value), expected=f"one of {', '.join(known)}")
        self.reduce = nn.Conv2d(in_channels, reduce, 1) if reduce else nn.Identity()
        self.lift = LIFTS[lift](reduce or in_channels, channels, self.levels, backend)
        self.fpn = FPNS[fpn](channels, self.levels)
        self.classify = VoxelMlp(channels, num_classes, sparse=sparse, heights=self.levels)

    def set_backend(self, backend: str) -> None:
        """Switch between native and decomposed deformable convolution."""
        set_backend(self, backend)

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:  # noqa: ARG002
        """(B, C, Y, X) -> (B, X, Y, Z, K).

        It works on (B, C, X, Y): turning the BEV at the start and one axis at the end costs onnxruntime
        a fifth of what turning the many more numbers of the logits does.
        """
        scores = self.classify(self.fpn(self.lift(self.reduce(bev.transpose(2, 3)))))
        return to_columns(scores, self.levels)
