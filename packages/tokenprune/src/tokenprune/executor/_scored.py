"""Sequences of which the last tokens are scored: what searching, training and evaluation read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tokenprune.executor._cache import PrunedCache
from tokenprune.executor._cost import Cost
from tokenprune.executor._executor import Executor
from tokenprune.executor._stream import Stream, checked_ids


@dataclass(frozen=True)
class Scored:
    """Token sequences, and how many last tokens of each are to be predicted.

    The model is given all but the last token; the positions that predict scored tokens are protected.

    Attributes:
        sequences: 1-D tensors of ids, the scored tokens included.
        counts: scored tokens of each.

    Examples:
        >>> import torch
        >>> from tokenprune import Executor, Layout, Scored, tiny_model

        >>> data = Scored([torch.arange(1, 21), torch.arange(30, 60)], counts=[4, 6])  # of the last 4 and 6 tokens
        >>> logits, stream = data.run(Executor(Layout.of(tiny_model())))
        >>> logits.shape, data.targets.tolist()
        (torch.Size([10, 256]), [17, 18, 19, 20, 54, 55, 56, 57, 58, 59])
    """

    sequences: Sequence[Tensor]
    counts: Sequence[int]

    def __post_init__(self) -> None:
        if not self.sequences or len(self.sequences) != len(self.counts):
            got = f"{len(self.sequences)} sequences and {len(self.counts)} counts"
            raise InputError("calibration", got=got, expected="at least one sequence, a count for each")
        for number, (one, count) in enumerate(zip(self.sequences, self.counts, strict=True)):
            checked_ids(one, f"calibration, sequence {number}", dims=1)
            if type(count) is not int or not 1 <= count < len(one):
                got = f"{count!r} scored of {len(one)} tokens"
                raise InputError(
                    "calibration", where=f"sequence {number}", got=got, expected="at least one scored and one before it"
                )

    def __len__(self) -> int:
        return len(self.sequences)

    def part(self, start: int, stop: int) -> Scored:
        """Some of the sequences."""
        return Scored(self.sequences[start:stop], self.counts[start:stop])

    @cached_property
    def inputs(self) -> tuple[Tensor, Tensor | None, Tensor]:
        """(ids, attention mask or None, protected), each (B, width), padded on the right."""
        scored = [
            torch.arange(len(one), 1, -1) <= count + 1 for one, count in zip(self.sequences, self.counts, strict=True)
        ]
        return *_padded([one[:-1] for one in self.sequences]), pad_sequence(scored, batch_first=True)

    @cached_property
    def targets(self) -> Tensor:
        """(P,) the scored tokens, row after row."""
        return torch.cat([one[-count:] for one, count in zip(self.sequences, self.counts, strict=True)])

    @cached_property
    def places(self) -> Tensor:
        """(P,) where, among the real tokens one after another, each scored token is predicted."""
        ends = torch.tensor([len(one) - 1 for one in self.sequences]).cumsum(0).tolist()
        return torch.cat([torch.arange(end - count, end) for end, count in zip(ends, self.counts, strict=True)])

    @property
    def highest(self) -> float:
        """Largest share of tokens that can be skipped in every row, in addition to the protected ones."""
        read = [(len(one) - 1, count) for one, count in zip(self.sequences, self.counts, strict=True)]
        return min(max(0, length - count - (length > count)) / length for length, count in read)

    def start(self, executor: Executor) -> Stream:
        """These sequences before block 0."""
        ids, mask, protect = self.inputs
        return executor.start(ids, mask, protect=protect)

    def logits(self, executor: Executor, stream: Stream) -> Tensor:
        """(P, vocabulary) at the positions that predict scored tokens, once the blocks have run."""
        return executor.layout.logits(stream.x.index_select(0, self.places.to(stream.x.device))).float()

    @torch.no_grad()
    def run(self, executor: Executor) -> tuple[Tensor, Stream]:
        """Logits (P, vocabulary) and the stream after the blocks."""
        stream = executor.prefill(self.start(executor))
        return self.logits(executor, stream), stream

    @cached_property
    def prompts(self) -> tuple[Tensor, Tensor | None]:
        """(ids, attention mask or None), each (B, width), padded on the right: the sequences without scored tokens."""
        return _padded([one[:-count] for one, count in zip(self.sequences, self.counts, strict=True)])

    @torch.no_grad()
    def decoded(self, executor: Executor) -> tuple[Tensor, Cost]:
        """Scored tokens as `generate` would meet them: the prompts alone are read, the rest is decoded over the cache.

        A prompt that all sequences share is read once.

        Returns: logits (P, vocabulary) that predict the scored tokens, and what the sequences cost one by one.
        """
        layout, cache, rows = executor.layout, PrunedCache(executor.blocks), len(self)
        ids, mask = self.prompts
        shared = rows > 1 and mask is None and bool((ids == ids[:1]).all())
        stream = executor.prefill(executor.start(ids[:1] if shared else ids, mask), cache)
        first = layout.logits(executor.tail(stream, 1))[:, 0].float().expand(rows, -1)
        cost = executor.cost(stream).times(rows if shared else 1)
        if shared:
            cache.batch_repeat_interleave(rows)
        cost = cost.plus(executor.cost_of_new([count - 1 for count in self.counts], cache, logits=len(self.targets)))
        if max(self.counts) == 1:
            return first, cost
        said = [one[-count:-1] for one, count in zip(self.sequences, self.counts, strict=True)]
        new = pad_sequence(said, batch_first=True).to(layout.device)
        out = executor.decode(layout.embed(new), cache)
        after = [layout.logits(row[: len(one)]).float() for row, one in zip(out, said, strict=True)]
        return torch.cat([part for pair in zip(first.split(1), after, strict=True) for part in pair]), cost

    def by_sequence(self, values: Tensor) -> Tensor:
        """(P,) values of scored tokens -> (B,) their sums."""
        return torch.stack([one.sum() for one in values.split(list(self.counts))])


def _padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Rows of ids (B, width), padded on the right, and their mask; None: all are of one length."""
    ids, lengths = pad_sequence(list(rows), batch_first=True).long(), torch.tensor([len(one) for one in rows])
    whole = bool((lengths == ids.shape[1]).all())
    return ids, None if whole else (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()


def nll(logits: Tensor, targets: Tensor) -> Tensor:
    """(P, V), (P,) -> (P,) negative log-likelihood in nats."""
    return F.cross_entropy(logits, targets.to(logits.device), reduction="none")


def divergence(reference: Tensor, logits: Tensor) -> Tensor:
    """(P, V) log-probabilities of the dense model, (P, V) logits -> (P,) KL(dense || pruned) in nats, T = 1."""
    return torch.cat([
        (one.exp() * (one - other.log_softmax(-1))).sum(-1)
        for one, other in zip(reference.split(128), logits.split(128), strict=True)
    ])  # fmt: skip


def windows(
    ids: Tensor, *, length: int, scored: int, count: int, seed: int | None = None, prefix: Tensor | None = None
) -> Scored:  # fmt: skip
    """Cut windows of `length` tokens out of one long text, evenly spread, or at random places if a seed is given.

    Args:
        ids: the text, 1-D.
        length: tokens of a window, the prefix among them.
        scored: of these, the last so many.
        count: windows; none overlaps another.
        seed: random seed of the places of windows.
        prefix: what stands first in each (`datasets.prefix`), as a model trained with a BOS expects one.
    Raises:
        InputError: if the text is too short for so many windows side by side.

    Examples:
        >>> from tokenprune import datasets, tiny_model, windows

        >>> model = tiny_model()
        >>> ids = datasets.tokens(datasets.embedded_text(), None)  # no tokenizer: bytes
        >>> texts = windows(ids, length=48, scored=8, count=4)

        >>> len(texts), texts.counts, len(texts.sequences[0])
        (4, [8, 8, 8, 8], 48)
    """
    checked_ids(ids, "text", dims=1)
    room = len(ids) - length * count
    if room < 0:
        raise InputError(
            "text", got=f"{len(ids)} tokens", expected=f"at least {length * count}: {count} windows of {length}"
        )
    if seed is None:
        gaps = torch.arange(count) * (room // count)
    else:
        generator = torch.Generator().manual_seed(seed)
        gaps = torch.randint(0, room + 1, (count,), generator=generator).sort().values
    starts = gaps + torch.arange(count) * length
    first = ids[:0] if prefix is None else prefix
    taken = length - len(first)
    return Scored([torch.cat([first, ids[start : start + taken]]) for start in starts.tolist()], [scored] * count)
