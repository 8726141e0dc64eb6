"""What a rival is: it is fitted to a model at a sparsity, and then runs on the same executor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from tokenprune.executor._cost import Cost
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored
from tokenprune.models._layout import Layout


class Baseline(ABC):
    """A rival.

    Attributes:
        name: in tables and on the command line.
        source: where it was published.
    """

    name: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """Decide what to leave out.

        Args:
            layout: the model; it is not changed.
            data: calibration sequences.
            target: share of the blocks' operations on a token to leave out.
            seed: random seed.
        """

    @abstractmethod
    def apply(self) -> Executor:
        """The pruned model, ready to run."""

    def cost(self, lengths: Sequence[int]) -> Cost:
        """Of prompts of these lengths, their last logits included."""
        executor = self.apply()
        return executor.costs.of_kept(self.kept(lengths), logits=len(lengths))

    @abstractmethod
    def kept(self, lengths: Sequence[int]) -> list[list[int]]:
        """For each block, tokens of each row that it runs on."""
