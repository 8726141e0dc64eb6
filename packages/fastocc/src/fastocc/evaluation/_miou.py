"""mIoU: one confusion matrix over the whole set, never a mean over frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ninefold.errors import InputError

IGNORE = 255


@dataclass(frozen=True)
class MIoUScore:
    """What `MIoU.compute` returns; shares, NaN where nothing of the kind was there.

    Attributes:
        miou: mean over the classes other than free that occur (in labels or predictions).
        geometric: IoU of occupied against free. per_class: by class name, NaN if it never occurred.
        voxels: number of voxels that counted. note: what a reader should know.
    """

    miou: float
    geometric: float
    per_class: dict[str, float]
    voxels: int
    note: str = field(default="")


class MIoU:
    """Streaming confusion matrix.

    Args:
        classes: names by label, the free class included. free: its label.

    Examples:
        >>> import numpy as np
        >>> from fastocc import MIoU

        >>> metric = MIoU(["car", "road", "free"], free=2)
        >>> truth = np.array([0, 0, 1, 1, 2, 2])
        >>> metric.add(np.array([0, 2, 1, 1, 2, 2]), truth)
        >>> score = metric.compute()
        >>> score.per_class, score.miou
        ({'car': 0.5, 'road': 1.0}, 0.75)
    """

    def __init__(self, classes: Sequence[str], free: int) -> None:
        self.classes, self.free = list(classes), free
        if not 0 <= free < len(self.classes):
            raise InputError("free", got=free, expected=f"0..{len(self.classes) - 1}")
        self.matrix = np.zeros((len(self.classes),) * 2, np.int64)

    def add(self, predicted: np.ndarray, labels: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Count one frame.

        Args:
            predicted, labels: equal shapes, integers 0..K-1; labels of 255 do not count.
            mask: bool of that shape; only voxels that it marks count. None counts all.
        """
        if predicted.shape != labels.shape or (mask is not None and mask.shape != labels.shape):
            shapes = f"{predicted.shape}, {labels.shape}" + ("" if mask is None else f", mask {mask.shape}")
            raise InputError("predicted and labels", got=shapes, expected="equal shapes")
        count = len(self.classes)
        valid = labels != IGNORE if mask is None else mask.astype(bool) & (labels != IGNORE)
        truth, guess = labels[valid].astype(np.int64), predicted[valid].astype(np.int64)
        for name, values in (("labels", truth), ("predicted", guess)):
            if values.size and (values.min() < 0 or values.max() >= count):
                raise InputError(name, got=f"{values.min()}..{values.max()}", expected=f"0..{count - 1}")
        self.matrix += np.bincount(truth * count + guess, minlength=count * count).reshape(count, count)

    def compute(self) -> MIoUScore:
        """Scores of all frames so far."""
        hits = np.diag(self.matrix).astype(np.float64)
        union = self.matrix.sum(0) + self.matrix.sum(1) - np.diag(self.matrix)
        shares = np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)
        others = [at for at in range(len(hits)) if at != self.free]
        valid = shares[others][~np.isnan(shares[others])]
        occupied = self.matrix[others][:, others].sum()
        either = self.matrix.sum() - self.matrix[self.free, self.free]
        return MIoUScore(
            float(valid.mean()) if valid.size else float("nan"),
            float(occupied / either) if either else float("nan"),
            {self.classes[at]: float(shares[at]) for at in others},
            int(self.matrix.sum()),
            "" if valid.size else "no class other than free occurred: mIoU is undefined",
        )
