"""Stage 2 from several starts: the router that does best on validation sequences is kept, and which start it had."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ninefold.errors import InputError

from tokenprune.executor._scored import Scored
from tokenprune.pruner._config import STARTS
from tokenprune.training._train import Teacher, TrainConfig, Training

if TYPE_CHECKING:
    from tokenprune.pruner._pruner import TokenPruner


def checked_starts(starts: Sequence[str], validation: Scored | None) -> list[str | None]:
    """The starts in their order; None stands for the present router.

    Raises:
        InputError: for a start that is not known, and for several without validation sequences to choose by.
    """
    unknown = [one for one in starts if one not in STARTS]
    if unknown:
        raise InputError("starts", got=repr(unknown[0]), expected=f"some of {', '.join(STARTS)}")
    if len(starts) > 1 and validation is None:
        raise InputError(
            "starts", got=f"{len(starts)} without validation", expected="sequences to choose among them by"
        )
    return [*dict.fromkeys(starts)] or [None]


class BestStart:
    """Holds on to the best of the routers that were trained.

    Args:
        pruner: whose router is trained.
    """

    def __init__(self, pruner: TokenPruner) -> None:
        self.pruner = pruner
        self.best: tuple[float, str | None, Training, dict[str, Any]] | None = None
        self.verdicts: dict[str, float] = {}

    def training(
        self, start: str | None, texts: Scored, config: TrainConfig | None, teacher: Teacher | None,
        validation: Scored | None,
    ) -> Training:  # fmt: skip
        """Training from a start, or of the present router."""
        if start is not None:
            self.pruner.restart(start)
        return self.pruner.training(texts, config, teacher, validation)

    def offer(self, start: str | None, training: Training) -> None:
        """A finished training."""
        net = copy.deepcopy(training.router.net.state_dict())
        verdict = training.verdicts[training.kept_step] if training.verdicts else float("inf")
        if start is not None and training.verdicts:
            self.verdicts[start] = verdict
        if self.best is None or verdict < self.best[0]:
            self.best = verdict, start, training, net

    def take(self) -> None:
        """Give the pruner the best router, and say in its metrics what it is worth and where it came from."""
        assert self.best is not None
        verdict, start, training, net = self.best
        pruner = self.pruner
        if start is not None:
            pruner.restart(start)
        assert pruner.net is not None
        pruner.net.load_state_dict(net)
        pruner.measured = None
        if training.verdicts:
            found: dict[str, Any] = {"step": training.kept_step, "kl": verdict, "kl at the start": training.verdicts[0]}
            if start is not None:
                found |= {"start": start} | {f"kl from {name}": kl for name, kl in self.verdicts.items()}
            pruner.metrics["train validated"] = found
