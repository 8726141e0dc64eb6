"""Which network is trained on which data, from what a user gives: preset or start, changes of it, folder, cameras."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ninefold.distributed import launched
from ninefold.errors import InputError

from fastocc.datasets import OccDataset
from fastocc.models import FastOccConfig, FastOccModel
from fastocc.models._opening import open_data, open_rig, open_start
from fastocc.training._recipe import TrainConfig


@dataclass
class Plan:
    """A network before its data is known.

    Attributes:
        base: configuration to begin with. preset: name of the recipe. start: network whose weights are kept, if any.
        changes: fields of the configuration that differ from `base`; `fit_to` adds those that the data decides.
    """

    base: FastOccConfig
    preset: str
    start: FastOccModel | None = None
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> FastOccConfig:
        """The configuration as far as it is known."""
        return self.base.with_head(**self.changes)

    def fit_to(
        self, root: Path | None, format_name: str | None, infos: Path | None, limit: int, scenes: int, *,
        rig: Path | None, supervision: str,
    ) -> OccDataset:  # fmt: skip
        """The training data, see `open_data`; format, grid and number of cameras become those of the data.

        Args:
            rig: file of the cameras to use; None uses those of the data.
            supervision: "labels", or "lidar": points on LiDAR rays, without voxel labels.
        Raises: InputError if labels are needed and missing, or if the data's grid is another one.
        """
        draft = self.config
        cameras = open_rig(rig, draft.image_size).names if rig else None
        if cameras:
            self.changes["cameras"] = len(cameras)
        if format_name is None and draft.format != "sim":
            format_name = draft.format
        data = open_data(
            root, format_name, "train", infos, limit, scenes, size=draft.image_size, grid=draft.grid, cameras=cameras,
            draft=True,
        )  # fmt: skip
        if supervision == "labels":
            data = data.with_labels()
        elif "segmentation" not in self.changes and data.points(0) is None:  # its labels are points with a class
            self.changes["segmentation"] = 0.0
        if root is not None:
            if draft.format == "sim" and data.format.name != "sim":
                self.changes |= {"format": data.format.name, "grid": data.format.grid}
            self.changes["cameras"] = len(data.cameras)
        spec = self.config.spec
        if data.grid != spec:
            expected = f"that of preset {self.preset}: {spec.shape}"
            raise InputError("grid", got=data.grid.shape, expected=expected, where=data.root)
        return data

    def recipe(self, seed: int, batch: int | None = None, **wanted: Any) -> TrainConfig:
        """The preset's recipe with what is given in its place; None and 0 keep the preset's.

        Without `batch`, each of several processes has at least one frame.
        """
        if batch is None:
            world = launched()
            batch = -(-TrainConfig.for_preset(self.preset).batch // world) * world
        given = {key: value for key, value in {"batch": batch, **wanted}.items() if value}
        return TrainConfig.for_preset(self.preset, seed=seed, **given)


def plan_network(
    preset: str | None = None, head: str | None = None, view: str | None = None, history: int | None = None,
    segmentation: float | None = None, *, lift: str = "dcn", fpn: str = "partial", init: str | None = None,
) -> Plan:  # fmt: skip
    """The network that presets, changes and a start give.

    Args:
        preset: name, "mini" if None. head, view, history, segmentation: None keeps the preset's.
        lift, fpn: of head fastocc. init: model folder or checkpoint to start from, whose network is kept.
    Raises: InputError if changes are given with `init`, or `lift` or `fpn` to a head without them.

    Examples:
        >>> from fastocc.training._plan import plan_network

        >>> plan = plan_network("micro", head="c2h")
        >>> plan.config.head, plan.recipe(seed=3).steps
        ('c2h', 30)
    """
    given = {"head": head, "segmentation": segmentation, "view": view, "history": history}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    of_fastocc = {"lift": lift, "fpn": fpn}
    default = of_fastocc == {"lift": "dcn", "fpn": "partial"}
    if init is not None:
        start = open_start(init)
        if changes or not default:
            raise InputError(
                "--head, --view, --history, --lift, --fpn", expected="nothing with --init: its network is kept"
            )
        known = "mini" if start.config.backbone == "slim" else "occ3d-r50"
        return Plan(start.config, preset or known, start, {"head": start.config.head})
    base = FastOccConfig.preset(preset := preset or "mini")
    head = changes.setdefault("head", base.head)
    if head == "fastocc":
        changes |= of_fastocc
    elif not default:
        raise InputError("--lift, --fpn", expected=f"nothing: head {head!r} has none of them")
    return Plan(base, preset, None, changes)
