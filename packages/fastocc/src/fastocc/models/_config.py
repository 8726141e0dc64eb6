"""What a network is, as plain values; presets for two cores and for the published scale."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ninefold.errors import InputError

from fastocc.datasets import LabelFormat
from fastocc.geometry import GridSpec
from fastocc.heads._losses import LOSSES
from fastocc.views import BACKBONES, VIEWS

ENCODERS = ("fpn", "bevdet")
DEPTH_VIEWS = ("lss", "bevdet")
_FORM = "residual"


@dataclass(frozen=True)
class FastOccConfig:
    """Everything that shapes the network.

    Attributes:
        format: label format, which gives classes and the label of free space. grid: name of the grid.
        cameras: number of cameras. image_size: (height, width), pixels.
        backbone, image_channels: of the image encoder. view: lut, lss, bevdet or bevformer.
        depth_step: metres of a depth bin, from 1 to 45 m (lss and bevdet).
        encoder: BEV encoder: fpn, or bevdet as BEVDet and FlashOcc publish theirs.
        queue: frames that bevformer looks back over, the present one included. history: the same for all other views,
            whose BEVs are kept and aligned; 1 looks at the present frame alone.
        view_channels: of the view transform. bev_channels: C, of the BEV encoder's output. widths: of its stages.
        head: dcn-c2h, fastocc or a rival. width, hidden: of `dcn-c2h` and `c2h`, channels after the convolution and of
            the layer after it; 0: C and twice `width`. channels: Cv. lift, fpn, reduce: of the fastocc head.
        activation: softmax or sigmoid (without a free class). loss: ce, focal or strong.
        balance: exponent of the class weights of ce, by the labels' frequencies; 0 weighs all classes alike.
        mask: whether the camera mask enters the loss.
        segmentation: weight of the segmentation branch's loss; 0 leaves the branch out.
        depth: weight of depth supervision (lss); 0 leaves it out.

    Examples:
        >>> from fastocc import FastOccConfig

        >>> config = FastOccConfig.preset("micro")
        >>> config.image_size, config.num_classes, config.spec.shape
        ((32, 64), 18, (20, 20, 8))
        >>> FastOccConfig(head="c2h", channels=16).head
        'c2h'
    """

    format: str = "sim"
    grid: str = "mini"
    cameras: int = 6
    image_size: tuple[int, int] = (96, 256)
    backbone: str = "slim"
    image_channels: int = 32
    view: str = "lut"
    view_channels: int = 32
    queue: int = 1
    bev_channels: int = 32
    widths: tuple[int, ...] = (48, 64, 96)
    head: str = "dcn-c2h"
    channels: int = 8
    width: int = 0
    hidden: int = 0
    lift: str = "dcn"
    fpn: str = "partial"
    reduce: int = 0
    activation: str = "softmax"
    loss: str = "ce"
    balance: float = 0.0
    mask: bool = True
    segmentation: float = 0.5
    depth: float = 0.0
    encoder: str = "fpn"
    depth_step: float = 0.5
    history: int = 1

    def __post_init__(self) -> None:
        wrong = []
        named = {"encoder": ENCODERS, "backbone": BACKBONES, "view": tuple(VIEWS), "loss": LOSSES}
        wrong += [
            f"{key} {getattr(self, key)!r} (one of {', '.join(known)})"
            for key, known in named.items()
            if getattr(self, key) not in known
        ]
        if self.activation not in ("softmax", "sigmoid"):
            wrong.append(f"activation {self.activation!r} (softmax or sigmoid)")
        elif (self.activation == "sigmoid") != (self.loss == "focal"):
            wrong.append(
                f"loss {self.loss!r} with {self.activation} (focal goes with sigmoid, the others with softmax)"
            )
        if self.queue < 1 or (self.queue > 1 and self.view != "bevformer"):
            wrong.append(f"queue {self.queue} with view {self.view!r} (at least 1; bevformer alone looks back)")
        if self.history < 1 or (self.history > 1 and self.view == "bevformer"):
            wrong.append(f"history {self.history} with view {self.view!r} (at least 1; bevformer has queue instead)")
        if self.depth and self.view not in DEPTH_VIEWS:
            wrong.append(f"depth {self.depth} with view {self.view!r} ({' and '.join(DEPTH_VIEWS)} predict depth)")
        if not 0.1 <= self.depth_step <= 44:
            wrong.append(f"depth_step {self.depth_step} (0.1 to 44 m)")
        for key in ("cameras", "image_channels", "view_channels", "bev_channels", "channels"):
            if getattr(self, key) < 1:
                wrong.append(f"{key} {getattr(self, key)} (at least 1)")
        if min(self.segmentation, self.depth, self.balance, self.width, self.hidden) < 0:
            wrong.append("segmentation, depth, balance, width and hidden (at least 0)")
        if self.balance and self.loss != "ce":
            wrong.append(
                f"balance {self.balance} with loss {self.loss!r} (ce alone takes it; strong has weights of its own)"
            )
        if wrong:
            raise InputError("config", got="; ".join(wrong))
        LabelFormat.named(self.format)
        GridSpec.named(self.grid)

    @property
    def frames(self) -> int:
        """Frames that enter a prediction, the present one included."""
        return max(self.queue, self.history)

    @property
    def key_camera(self) -> str:
        """Camera whose ego pose is the ego frame; "" for the LiDAR's.

        BEVDet and FlashOcc build camera poses into the ego pose of the first camera of their configuration.
        """
        return "CAM_FRONT_LEFT" if self.view == "bevdet" else ""

    @property
    def spec(self) -> GridSpec:
        """The grid."""
        return GridSpec.named(self.grid)

    @property
    def labels(self) -> LabelFormat:
        """The label format."""
        return LabelFormat.named(self.format)

    @property
    def num_classes(self) -> int:
        """Number of outputs a voxel."""
        return len(self.labels.classes) - (1 if self.activation == "sigmoid" else 0)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> FastOccConfig:
        """A preset with some fields changed; InputError lists presets or fields."""
        if name not in PRESETS:
            raise InputError("preset", got=repr(name), expected=f"one of {', '.join(PRESETS)}")
        base = cls.from_dict(PRESETS[name])
        return base.with_head(**{"head": base.head, **changes})

    def with_head(self, head: str, **changes: Any) -> FastOccConfig:
        """The same network with this head and other changes; another head starts from its own `width` and `hidden`."""
        own = {} if head == self.head else {"width": 0, "hidden": 0}
        return FastOccConfig.from_dict({**self.to_dict(), **own, "head": head, **changes})

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, and the form of the head, of which there were two once: runs of that time resume."""
        made = {
            key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(self).items()
        }
        return {**made, "form": _FORM}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FastOccConfig:
        """From `to_dict`; InputError names unknown fields, and the form that is gone."""
        if values.get("form", _FORM) != _FORM:
            raise InputError("config", got=f"form {values['form']!r}, which is gone", expected=f"form {_FORM!r}")
        values = {key: one for key, one in values.items() if key != "form"}
        known = {one.name for one in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(
                "config", got=f"unknown fields {', '.join(unknown)}", expected=f"among {', '.join(sorted(known))}"
            )
        given: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in values.items()}
        return cls(**given)


PRESETS: dict[str, dict[str, Any]] = {
    "mini": {"balance": 0.25, "width": 64, "hidden": 206},
    "micro": {
        "grid": "micro", "image_size": (32, 64), "image_channels": 8, "view_channels": 8, "bev_channels": 8,
        "widths": (8, 12, 16), "channels": 4, "balance": 0.25,
    },
    "occ3d-r50": {
        "format": "occ3d", "grid": "occ3d", "image_size": (256, 704), "backbone": "resnet50", "image_channels": 256,
        "view": "lss", "view_channels": 64, "bev_channels": 256, "widths": (128, 256, 512), "channels": 32,
    },
    "flashocc-r50": {
        "format": "occ3d", "grid": "occ3d", "image_size": (256, 704), "backbone": "resnet50", "image_channels": 256,
        "view": "bevdet", "view_channels": 64, "encoder": "bevdet", "bev_channels": 256, "widths": (128, 256, 512),
        "head": "flashocc", "segmentation": 0.0,
    },
    "bevdet-occ-r50": {
        "format": "occ3d", "grid": "occ3d", "image_size": (256, 704), "backbone": "resnet50", "image_channels": 256,
        "view": "bevdet", "view_channels": 32, "head": "bevdet-occ", "segmentation": 0.0,
    },
    "openocc-r50": {
        "format": "openocc-v1", "grid": "openocc-v1", "image_size": (480, 800), "backbone": "resnet50-c5",
        "image_channels": 256, "view": "bevformer", "queue": 3, "view_channels": 256, "bev_channels": 256,
        "head": "fastocc", "widths": (128, 256, 512), "channels": 32, "activation": "sigmoid", "loss": "focal",
        "mask": False,
    },
}  # fmt: skip
