"""The observation-window router, training-free: the last tokens, and those that the last queries attend to most.

Of the k tokens that a block keeps, a share `recent` are the last ones of the prompt, and the rest those of highest
score. A token's score is the attention that the last `window` queries (the observation window) pay to it, the maximum
over heads, queries, the block before, the dense blocks at the beginning, and neighbouring tokens: heads that
match what is asked with where it stood are in few blocks, and other blocks say nothing of what they found. Kept sets
are nested: a token that was skipped does not return. The early blocks are dense (`dense_first`), so that a token is
judged once it has been read. The window and pooling over neighbours are SnapKV's (arXiv 2404.14469), there for a cache
after full attention. The maximum over a span keeps all of a fact of which one token is attended to; the mean over it
loses single tokens, from some 1,000 tokens on whole facts.

Heads that look for what is asked stand in later blocks than the dense ones where more than `SPARSE` is skipped. A few
that were learnt (`TokenPruner.learn`) look ahead: their queries and keys, on the states that the dense blocks leave,
score the tokens too, and of both scores the one that ranks a token higher counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor

from tokenprune.executor._stream import Stream
from tokenprune.routers._schedule import LONG, SPARSE, lowest_skipped, static_keep
from tokenprune.routers._static_router import StaticRouter

SPAN = 9
WINDOW, LEAST, MOST = 64, 8, 128  # queries that score: where no question is known; bounds of a question that is
_LEFT_OUT = {False: (SPAN, 0.5), True: (13, 0.25)}  # neighbours, recent; beyond `SPARSE`
REDUCTIONS = ("max", "mean", "weighted")
_ALIVE = "kept so far"  # in a stream's memory: (B, L) tokens that no block has skipped


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Settings of the observation window.

    Attributes:
        window: how many last queries score the keys, whatever the question. If omitted, those of the question and of
            what follows it, from `LEAST` to `MOST`; `WINDOW` if the question is not known.
        reduction: over heads and queries, "max", "mean", or "weighted": a mean to which later queries add more.
        neighbours: how many tokens in a row, the token itself in the middle, a score is pooled over; 1: no pooling.
            Left out, `SPAN`, and 13 beyond `SPARSE`: more of a fact stands or falls with one of its tokens.
        pooling: "max" or "mean" of these scores.
        recent: share of a block's kept tokens that are the last ones. Left out, .5, and .25 beyond `SPARSE`.
        lasting: scores of blocks that skip nothing last, the highest counts; False: those of the block before alone.
        heads: (block, head) pairs that look ahead, for schedules that skip more than `SPARSE`.
    """

    window: int | None = None
    reduction: str = "max"
    neighbours: int | None = None
    pooling: str = "max"
    recent: float | None = None
    lasting: bool = True
    heads: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if not (isinstance(self.heads, (list, tuple)) and all(map(_is_pair, self.heads))):
            raise InputError("observation heads", got=f"{self.heads!r:.40}", expected="pairs of a block and a head")
        object.__setattr__(self, "heads", tuple(map(tuple, self.heads)))  # lists, if read from JSON
        if self.window is not None and (type(self.window) is not int or self.window < 1):
            raise InputError("observation window", got=repr(self.window), expected="a whole number from 1")
        if self.reduction not in REDUCTIONS:
            raise InputError(
                "observation reduction", got=repr(self.reduction), expected=f"one of {', '.join(REDUCTIONS)}"
            )
        odd = type(self.neighbours) is int and self.neighbours > 0 and self.neighbours % 2 == 1
        if self.neighbours is not None and not odd:
            raise InputError("observation neighbours", got=repr(self.neighbours), expected="an odd number from 1")
        if self.pooling not in ("max", "mean"):
            raise InputError("observation pooling", got=repr(self.pooling), expected="max or mean")
        number = type(self.recent) in (int, float) and 0 <= (self.recent or 0) <= 1
        if self.recent is not None and not number:
            raise InputError("observation recent", got=repr(self.recent), expected="a share of kept tokens, 0 to 1")
        if type(self.lasting) is not bool:
            raise InputError("observation lasting", got=repr(self.lasting), expected="True or False")


def _is_pair(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(type(at) is int and at >= 0 for at in value)


def settled(settings: Observation, schedule: Sequence[float]) -> Observation:
    """The settings under a schedule: those that are left out depend on how much it skips."""
    found = zip(("neighbours", "recent"), _LEFT_OUT[sum(schedule) > SPARSE * len(schedule)], strict=True)
    return replace(settings, **{name: one for name, one in found if getattr(settings, name) is None})


def pooled(scores: Tensor, there: Tensor, settings: Observation) -> Tensor:
    """Score of each token, pooled over it and its neighbours in the prompt.

    Args:
        scores: (B, L); NaN: none, counts as zero.
        there: (B, L) tokens that take part; the others have no score, and are nobody's neighbours.
        settings: how many neighbours, and maximum or mean.
    Returns: (B, L), zero where a token takes no part.
    """
    scores, span = scores.nan_to_num(0.0).masked_fill(~there, 0.0), settings.neighbours or SPAN
    if span == 1:
        return scores
    if settings.pooling == "max":
        return F.max_pool1d(scores[:, None], span, 1, span // 2)[:, 0].masked_fill(~there, 0.0)
    both = torch.stack([scores, there.to(scores.dtype)], 1)
    means = F.avg_pool1d(both, span, 1, span // 2)  # of what is there and what is not, so take the quotient
    return torch.where(there, means[:, 0] / means[:, 1], 0.0)


def recent_tokens(stream: Stream, latest: Sequence[int]) -> Tensor:
    """(B, L) the so many last tokens of each row."""
    place = torch.arange(stream.real.shape[1], device=stream.real.device)[None]
    first = [length - count for length, count in zip(stream.lengths, latest, strict=True)]
    return stream.real & (place >= torch.tensor(first, device=place.device)[:, None])


def observed(stream: Stream) -> Tensor:
    """(B, L) the higher of each token's latest score and its best one in blocks whose scores last; NaN: none yet."""
    return stream.table if stream.best is None else torch.fmax(stream.table, stream.best)


def observed_margin(stream: Stream, latest: Sequence[int], settings: Observation) -> Tensor:
    """How much each token is to be kept: the last ones first, then by pooled score, then those skipped before.

    Args:
        stream: before the block; some block has scored its keys.
        latest: how many last tokens of each row come first.
        settings: of the pooling.
    Returns: (B, L): from 4 on if recent, from 0 to 1 by score, below -3 if skipped before.
    """
    alive = stream.memory.get(_ALIVE, stream.real)
    scores = observed(stream)
    if stream.ahead is not None:
        scores = torch.maximum(_ranked(scores, alive), _ranked(stream.ahead, alive))
    margin = pooled(scores, alive, settings) + 4.0 * recent_tokens(stream, latest)
    return margin - 8.0 * ~alive


def _ranked(scores: Tensor, there: Tensor) -> Tensor:
    """(B, L) the place of each token in its row by score, from 0 to 1 for the highest; first what is not there."""
    order = scores.nan_to_num(0.0).masked_fill(~there, -1.0).argsort(dim=1, stable=True)
    return order.argsort(dim=1).to(torch.float32) / order.shape[1]


class ObservationRouter(StaticRouter):
    """Keeps the last tokens and those that the observation window attends to; by the static rule before any scores.

    Args:
        schedule: sparsity of each block; `dense_first` gives the one it was measured with.
        settings: of the observation window.
        score_all: score the keys of every block, also where no later choice looks at these: each block's cache is
            chosen by that block's scores.
        longer: sparsity of each block for prompts of more than `LONG` tokens; left out, as for all others.
    """

    def __init__(
        self, schedule: Sequence[float], settings: Observation | None = None, *, score_all: bool = False,
        longer: Sequence[float] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(schedule)
        self.longer = None if longer is None else ObservationRouter(longer, settings, score_all=score_all)
        self.settings = settled(settings or Observation(), self.schedule)
        self.window, self.reduction = self.settings.window or WINDOW, self.settings.reduction
        self.flops, self.score_all = 2 * (self.settings.neighbours or SPAN), score_all

    def of(self, tokens: int) -> ObservationRouter:
        """The router of a prompt of so many tokens."""
        return self if self.longer is None or tokens <= LONG else self.longer

    @property
    def remembered(self) -> int:
        """As many queries as any question may have."""
        return self.settings.window or MOST

    def windows(self, rows: int, query: Sequence[int] | None = None) -> list[int]:
        """How many last queries of each row score the keys: those of its question."""
        if query is None or self.settings.window is not None:
            return [self.window] * rows
        return [min(max(one, LEAST), MOST) for one in query]

    def ahead(self, block: int) -> Mapping[int, tuple[int, ...]]:
        """Heads of this block and later ones that look at the states before it, the first that skips."""
        heads = self.settings.heads if sum(self.schedule) > SPARSE * len(self.schedule) else ()
        if not heads or block != self.whole_blocks(len(self.schedule)):
            return {}
        found: dict[int, tuple[int, ...]] = {}
        for at, head in sorted(heads):
            if at >= block:
                found[at] = (*found.get(at, ()), head)
        return found

    def lasts(self, block: int) -> bool:
        """Whether scores of this block count in all later choices."""
        return self.settings.lasting and self.schedule[block] == 0

    def queries(self, block: int) -> int:
        """The window where a later block chooses by these scores, else zero."""
        later = self.schedule[block + 1 :]
        next_one = bool(later) and later[0] > 0 and not self._as_before(block + 1)
        return self.window if self.score_all or next_one or (self.lasts(block) and any(later)) else 0

    def _as_before(self, block: int) -> bool:
        """Whether nested sets leave a block no choice: it keeps as many tokens as the block before."""
        return block > 0 and self.schedule[block] == self.schedule[block - 1]

    def latest(self, stream: Stream, skips: Sequence[int]) -> list[int]:
        """How many last tokens of each row are kept whatever their scores."""
        kept = [a - min(b, c) for a, b, c in zip(stream.lengths, skips, stream.free, strict=True)]
        return [int((self.settings.recent or 0.0) * k + 1e-9) for k in kept]

    def look(self, block: int, stream: Stream) -> None:
        """A block that skips nothing gives every token its place again."""
        if self.schedule[block] == 0:
            stream.memory.pop(_ALIVE, None)

    def choose(self, block: int, stream: Stream, skips: list[int]) -> Tensor:
        """(B, L) kept tokens."""
        if not stream.scored:
            return static_keep(stream.protected, stream.real, skips)
        if self._as_before(block) and _ALIVE in stream.memory:
            return stream.memory[_ALIVE]
        margin = observed_margin(stream, self.latest(stream, skips), self.settings)
        kept = lowest_skipped(margin, stream.protected, stream.real, skips)
        stream.memory[_ALIVE] = kept
        return kept


def cache_choice(tokens: int, settings: Observation) -> Callable[[Stream, Tensor], Tensor]:
    """Which of a block's kept tokens its cache holds: the first, the window, and those of highest score there (SnapKV).

    Args:
        tokens: of each row, in each block; more where the first one and the window are more.
        settings: of the observation window, with nothing left out (`settled`).
    Returns: (stream after the block, (B, L) kept) -> (B, L) cached.
    """

    def choose(stream: Stream, kept: Tensor) -> Tensor:
        place = torch.arange(kept.shape[1], device=kept.device)[None]
        window = recent_tokens(stream, [min(settings.window or WINDOW, length) for length in stream.lengths])
        margin = pooled(stream.table, kept, settings)
        skips = (kept.sum(1) - tokens).clamp(min=0).tolist()
        return lowest_skipped(margin, kept & ((place == 0) | window), kept, skips)

    return choose
