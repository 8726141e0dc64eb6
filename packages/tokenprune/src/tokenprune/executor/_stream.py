"""A batch on its way through the blocks: real tokens one after another, padding left out, and what routers look at."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import torch
from ninefold.errors import InputError
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])


def uncompiled(function: F) -> F:
    """The function, which `torch.compile` does not trace."""
    return cast(F, torch.compiler.disable(function))


@dataclass
class Stream:
    """State between two blocks.

    Rows are addressed in two ways: flat, all real tokens of row 0, then of row 1 ...; and by row, (B, L) with L the
    longest row, each row's tokens from column 0 whatever side its padding was on.

    Attributes:
        x: (T, d) the hidden states, flat.
        positions: (T,) rotary positions, flat.
        cos, sin: (T, head_dim) of these positions.
        lengths: real tokens of each row.
        columns: (T,) where each flat token stood in the padded input of B * width columns.
        width: columns of the padded input.
        places: (T,) which token of its row each is, flat; of models with sliding windows alone.
        real: (B, L) whether a row has that many tokens.
        inside: (T,) where each flat token stands in (B, L), read row after row; None if all rows are of one length.
        protected: (B, L) tokens that every block keeps.
        table: (B, L) each token's latest attention score; NaN: none yet.
        best: (B, L) each token's highest score in the blocks whose scores last; None: there was none.
        ahead: (B, L) the highest attention of heads that looked ahead (`Executor.look_ahead`); None: none did.
        free: tokens of each row that are not protected.
        scored: whether any block has scored its keys yet.
        kept: for each block run so far, tokens kept in each row.
        cached: by block, tokens of each row that its cache holds, where these are fewer than it kept.
        routed: for each block run so far, operations of its router.
        query: how many last tokens of each row hold the question and what follows it; None: not known.
        masks: for each block run so far the kept tokens, (B, L), if they are recorded.
        memory: what a router keeps from block to block.
        queries: by block that keeps every token, the last queries of each row (`Attention.queries`).
    """

    x: Tensor
    positions: Tensor
    cos: Tensor
    sin: Tensor
    lengths: list[int]
    columns: Tensor
    width: int
    real: Tensor
    protected: Tensor
    table: Tensor
    free: list[int]
    places: Tensor | None = None
    best: Tensor | None = None
    ahead: Tensor | None = None
    inside: Tensor | None = None
    scored: bool = False
    kept: list[list[int]] = field(default_factory=list)
    cached: dict[int, list[int]] = field(default_factory=dict)
    routed: list[int] = field(default_factory=list)
    query: Sequence[int] | None = None
    masks: list[Tensor] | None = None
    memory: dict[str, Tensor] = field(default_factory=dict)
    queries: dict[int, Tensor] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """B."""
        return len(self.lengths)

    def padded(self, flat: Tensor) -> Tensor:
        """Flat values (T, ...) by row (B, L, ...), zero where a row has ended."""
        if self.inside is not None:
            flat = flat.new_zeros(self.real.numel(), *flat.shape[1:]).index_copy(0, self.inside, flat)
        return flat.view(*self.real.shape, *flat.shape[1:])

    def flat(self, by_row: Tensor) -> Tensor:
        """Values by row (B, L) of the real tokens, flat (T,)."""
        by_row = by_row.flatten()
        return by_row if self.inside is None else by_row.index_select(0, self.inside)

    def note_scores(self, scores: Tensor, *, lasting: bool) -> None:
        """Take a block's scores (B, L); NaN: that token has none. `lasting`: into `best`, too."""
        self.scored, self.table = True, torch.where(scores.isnan(), self.table, scores)
        if lasting:
            self.best = scores if self.best is None else torch.fmax(self.best, scores)

    def skipped_places(self) -> list[str]:
        """For each row the tokens that some block skipped, as in "1-20, 23"; of a stream that recorded its masks."""
        assert self.masks is not None
        skipped = self.real & ~torch.stack([mask.to(self.real.device) for mask in self.masks]).all(0)
        return [_ranges(row.nonzero()[:, 0].tolist()) for row in skipped]

    def snapshot(self) -> Stream:
        """A twin that later blocks do not change: they replace tensors, and never write into them."""
        twin = copy.copy(self)
        twin.kept, twin.routed, twin.memory = list(self.kept), list(self.routed), dict(self.memory)
        twin.cached, twin.queries = dict(self.cached), dict(self.queries)
        twin.masks = None if self.masks is None else list(self.masks)
        return twin


def _ranges(places: list[int]) -> str:
    """[1, 2, 3, 7] -> "1-3, 7"."""
    ends = [at for at in places if at + 1 not in places]
    starts = [at for at in places if at - 1 not in places]
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))


@dataclass(frozen=True)
class Kept:
    """A choice of which it is known, without asking the device, how many tokens it keeps.

    Attributes:
        mask: (B, L) kept tokens.
        counts: how many these are in each row.
    """

    mask: Tensor
    counts: list[int]

    def places(self, stream: Stream) -> Tensor:
        """(sum of counts,) flat indices of the kept tokens, ascending; no waiting for the device as in `nonzero`."""
        flat, total = stream.flat(self.mask), sum(self.counts)
        slots = torch.where(flat, flat.cumsum(0) - 1, total)
        found = slots.new_empty(total + 1).scatter(0, slots, torch.arange(len(flat), device=flat.device))
        return found[:total]


def checked_ids(ids: object, what: str = "input_ids", *, dims: int = 2, vocabulary: int | None = None) -> None:
    """InputError unless `ids` is a tensor of whole numbers with one dimension (tokens) or two (rows, tokens).

    With `vocabulary`, an id that the embedding has no entry for is refused with its row and token.
    """
    if isinstance(ids, Tensor) and ids.dim() == dims and not (ids.is_floating_point() or ids.dtype == torch.bool):
        if vocabulary is not None and ids.numel() and ids.device.type != "meta":
            _check_entries(ids, what, vocabulary)
        return
    got = f"{ids.dtype} of shape {tuple(ids.shape)}" if isinstance(ids, Tensor) else f"{type(ids).__name__} {ids!r:.40}"
    raise InputError(what, got=got, expected=f"a tensor of token ids, {'(rows, tokens)' if dims == 2 else '(tokens,)'}")


@uncompiled
def _check_entries(ids: Tensor, what: str, vocabulary: int) -> None:
    least, most = (int(one) for one in ids.aminmax())
    if least >= 0 and most < vocabulary:
        return
    row, token = ((ids < 0) | (ids >= vocabulary)).nonzero()[0].tolist()
    raise InputError(
        what, where=f"row {row}, token {token}", got=f"id {int(ids[row, token])}",
        expected=f"one of the embedding's {vocabulary} entries",
        hint="the tokenizer is another model's, or has tokens that the model lacks: model.resize_token_embeddings",
    )  # fmt: skip


def rows_of(attention_mask: Tensor | None, rows: int, width: int, device: torch.device) -> tuple[Tensor, list[int]]:
    """Which columns of (B, width) are real, and how many in each row.

    Raises:
        InputError: for an empty row, or padding between real tokens; names the row.
    """
    if width == 0 or rows == 0:
        raise InputError("input_ids", got=f"shape ({rows}, {width})", expected="at least one row of one token")
    if attention_mask is None:
        return torch.ones(rows, width, dtype=torch.bool, device=device), [width] * rows
    if tuple(attention_mask.shape) != (rows, width):
        raise InputError("attention_mask", got=f"shape {tuple(attention_mask.shape)}", expected=f"({rows}, {width})")
    real = attention_mask.to(device) != 0
    lengths = real.sum(1).tolist()
    changes = (real[:, 1:] != real[:, :-1]).sum(1)
    for row, (length, turns) in enumerate(zip(lengths, changes.tolist(), strict=True)):
        if length == 0:
            raise InputError("attention_mask", where=f"row {row}", got="padding alone", expected="a token in each row")
        if turns > 2 or (turns == 2 and bool(real[row, 0])):
            raise InputError(
                "attention_mask", where=f"row {row}", got="padding between real tokens",
                expected="real tokens in one piece, padding on the left or right",
            )  # fmt: skip
    return real, lengths


def protected_of(protect: int | Tensor, real: Tensor, by_row: Tensor, lengths: list[int]) -> Tensor:
    """First and last token of each row, and what `protect` names: the last so many, or a mask like the input.

    Args:
        protect: at least 1, or bool (B, width).
        real: (B, width) real columns of the padded input.
        by_row: (B, L) whether a row has that many tokens.
        lengths: of the rows.
    Returns: (B, L).
    """
    place = torch.arange(by_row.shape[1], device=by_row.device)[None]
    ends = torch.tensor(lengths, device=by_row.device)[:, None]
    if isinstance(protect, int):
        if protect < 1:
            raise InputError("protect", got=protect, expected="at least 1: the last token's logits are read")
        return by_row & ((place == 0) | (place >= ends - protect))
    if protect.dtype != torch.bool or protect.shape != real.shape:
        raise InputError(
            "protect", got=f"{protect.dtype} of shape {tuple(protect.shape)}",
            expected=f"a count, or bool of shape {tuple(real.shape)}",
        )  # fmt: skip
    named = torch.zeros_like(by_row)
    named[by_row] = protect.to(real.device)[real]
    return by_row & (named | (place == 0) | (place == ends - 1))


def shape_of(counts: list[int]) -> tuple[int, int]:
    """Rows of so many tokens each, or, where these differ, one of all."""
    return (len(counts), counts[0]) if len(set(counts)) == 1 else (1, sum(counts))


def taken(stream: Stream, index: Tensor | None, shape: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States, positions, cosines and sines of these flat tokens, as rows of that shape."""
    x, positions, cos, sin = (
        one if index is None else one.index_select(0, index)
        for one in (stream.x, stream.positions, stream.cos, stream.sin)
    )
    return x.view(*shape, -1), positions.view(shape), cos.view(*shape, -1), sin.view(*shape, -1)


def move(stream: Stream, device: torch.device) -> None:
    """A model spread over devices: the stream follows the blocks."""
    for name in ("x", "positions", "cos", "sin", "real", "protected", "table", "best", "inside", "places"):
        if getattr(stream, name) is not None:
            setattr(stream, name, getattr(stream, name).to(device))
    stream.memory = {name: one.to(device) for name, one in stream.memory.items()}


def checked_query(query: int | Sequence[int] | None, rows: int) -> list[int] | None:
    """How many last tokens of each row hold the question and what follows it: one number for all rows, or one each.

    Raises:
        InputError: for other numbers than that, and for numbers below 1.
    """
    if query is None:
        return None
    found = [query] * rows if isinstance(query, int) else list(query)
    if len(found) != rows:
        raise InputError("query", got=f"{len(found)} numbers", expected=f"one, or one for each of {rows} rows")
    for one in found:
        if type(one) is not int or one < 1:
            raise InputError("query", got=f"{one!r:.40}", expected="a number of last tokens of the prompt, from 1")
    return found


def tail(stream: Stream, last: int) -> Tensor:
    """Hidden states of the last tokens of each row, (B, last, d)."""
    if min(stream.lengths) < last:
        raise InputError("row", got=f"{min(stream.lengths)} tokens", expected=f"at least the {last} that are read")
    ends = torch.tensor(stream.lengths, device=stream.x.device).cumsum(0)
    places = ends[:, None] - last + torch.arange(last, device=stream.x.device)
    return stream.x[places.flatten()].view(stream.rows, last, -1)
