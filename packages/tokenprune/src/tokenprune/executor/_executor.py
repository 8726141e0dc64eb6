"""The executor: runs each block on the tokens it keeps, gathered, at their original positions.

x^{i+1}_j = Block_i(x_K)_j for a kept token j in K, else x^i_j. A skipped token gives no query, key or value in that
block. Nothing is masked: what is not kept is not computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor

from tokenprune.executor._attention import Attention, Form, Looked, ours, scores_over, scoring_by
from tokenprune.executor._cache import PrunedCache
from tokenprune.executor._cost import Cost, CostModel
from tokenprune.executor._replaced import sliced
from tokenprune.executor._router import Choice, Everything, Router
from tokenprune.executor._stream import (
    Kept,
    Stream,
    checked_ids,
    move,
    protected_of,
    rows_of,
    shape_of,
    tail,
    taken,
    uncompiled,
)
from tokenprune.executor._turns import NewTokens, Read
from tokenprune.models._layout import Layout

Shrink = Callable[[Stream, Tensor], Tensor]


class Executor:
    """Runs a model's blocks under a router.

    Args:
        layout: the model's parts.
        router: which tokens each block keeps.
        shrink: (stream, (B, L) tokens that a block kept) -> (B, L) those of them that its cache holds, once it has run;
            left out, all of them.

    Examples:
        >>> import torch
        >>> from tokenprune import Executor, Layout, StaticRouter, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> executor = Executor(Layout.of(model), StaticRouter([0.0, 0.25, 0.5, 0.5]))
        >>> logits, stream = executor.logits(ids)
        >>> stream.kept  # tokens of each row that each block kept
        [[40], [30], [20], [20]]
        >>> executor.cost(stream).kv_bytes
        28160
    """

    def __init__(self, layout: Layout, router: Router | None = None, shrink: Shrink | None = None) -> None:
        self.layout, self.router, self.shrink = layout, router or Everything(), shrink
        self.costs = CostModel.of(layout)
        self.forms: dict[int, Form] = {}  # by block, once it has run
        self.settings: object = None  # what a pruner made it of: executors of equal settings choose alike

    def _beyond(self, length: int) -> bool:
        """Whether a prompt is longer than the sliding window, if there is one."""
        return self.layout.window is not None and length > self.layout.window

    tail = staticmethod(tail)

    @property
    def blocks(self) -> int:
        """N."""
        return len(self.layout.blocks)

    def routing(self, stream: Stream) -> Any:
        """The router of a prompt."""
        return self.router.of(max(stream.lengths))

    @uncompiled  # it asks how long the rows are; blocks are traced in one graph from here on
    def start(
        self, input_ids: Tensor | None, attention_mask: Tensor | None = None, position_ids: Tensor | None = None, *,
        embeds: Tensor | None = None, protect: int | Tensor = 1, **more: Any,
    ) -> Stream:  # fmt: skip
        """A prompt before block 0.

        Args:
            input_ids: (B, width) ids; or give `embeds`, (B, width, d).
            attention_mask: (B, width), zero for padding on the left or right.
            position_ids: (B or 1, width); counted from each row's first token if left out.
            protect: how many last tokens of each row every block keeps, or a bool mask (B, width).
            more: `query`, how many last tokens of each row hold the question and what follows it (None: not known);
                `record`, whether to keep each block's mask.
        Raises:
            InputError: for empty or broken rows, and for sequences longer than the model's positions or window.
        """
        given = input_ids if embeds is None else embeds
        if embeds is None:
            checked_ids(given, vocabulary=self.layout.decoder.embed_tokens.weight.shape[0])
        elif embeds.dim() != 3:
            raise InputError("embeds", got=f"shape {tuple(embeds.shape)}", expected="(rows, tokens, hidden size)")
        assert given is not None
        device, (rows, width) = self.layout.device, given.shape[:2]
        real, lengths = rows_of(attention_mask, rows, width, device)
        self._check_length(max(lengths))
        x = self.layout.embed(given.to(device)) if embeds is None else embeds.to(device)
        x = x.flatten(0, 1) if min(lengths) == width else x[real]
        counted = (real.cumsum(1) - 1) if position_ids is None else position_ids.to(device).expand(rows, width)
        return self._stream(x, counted[real], lengths, protect, real, **more)

    def _stream(
        self, x: Tensor, positions: Tensor, lengths: list[int], protect: int | Tensor, real: Tensor, *,
        record: bool = False, query: Sequence[int] | None = None,
    ) -> Stream:  # fmt: skip
        cos, sin = self.layout.angles(x, positions)
        by_row = torch.arange(max(lengths), device=x.device)[None] < torch.tensor(lengths, device=x.device)[:, None]
        protected = protected_of(protect, real, by_row, lengths)
        return Stream(
            x=x, positions=positions, cos=cos[0], sin=sin[0], lengths=lengths, columns=real.flatten().nonzero()[:, 0],
            width=real.shape[1], real=by_row, protected=protected,
            free=[a - b for a, b in zip(lengths, protected.sum(1).tolist(), strict=True)],
            inside=None if len(set(lengths)) == 1 else by_row.flatten().nonzero()[:, 0],
            table=torch.full(by_row.shape, float("nan"), device=x.device), masks=[] if record else None,
            places=None if self.layout.window is None else (by_row.cumsum(1) - 1)[by_row],
            query=query,
        )  # fmt: skip

    def _check_length(self, longest: int) -> None:
        if longest > self.layout.limit:
            raise InputError("sequence", got=f"{longest} tokens", expected=f"at most {self.layout.limit} positions")

    def step(self, stream: Stream, block: int, cache: PrunedCache | None = None) -> None:
        """Run one block on a prompt; the stream is changed in place."""
        router = self.routing(stream)
        ahead = router.ahead(block)
        if ahead:
            stream.ahead = stream.padded(self.look_ahead(stream, ahead).amax(0))
        choice = router.keep(block, stream)
        looked = 0 if isinstance(choice, bool) else sum(stream.lengths) * self.router.flops
        stream.routed.append(looked + self.costs.looking(stream.lengths, max(router.counting(stream)), ahead))
        stream.kept.append(self._run(stream, block, choice, cache))
        if stream.masks is not None:
            full = stream.real if choice is True else torch.zeros_like(stream.real)
            mask = choice.mask if isinstance(choice, Kept) else choice
            stream.masks.append(mask if isinstance(mask, Tensor) else full)

    def _run(self, stream: Stream, block: int, keep: Choice, cache: PrunedCache | None) -> list[int]:
        """Run a block on the kept tokens; returns how many each row kept."""
        if keep is False:
            return [0] * stream.rows
        if isinstance(keep, Tensor):
            keep = Kept(keep, keep.sum(1).tolist())
        counts, index, where = stream.lengths, None, stream.real
        if isinstance(keep, Kept):
            counts = keep.counts
            if sum(counts) == 0:
                return counts
            if counts != stream.lengths:
                index, where = keep.places(stream), keep.mask
        shape = shape_of(counts)
        router = self.routing(stream)
        scoring = scoring_by(self.routing(stream).counting(stream), scores=router.queries(block) > 0)
        about = Attention(
            counts, cache is not None, reduction=router.reduction, remembered=router.remembered, **scoring
        )
        if stream.places is not None:
            about.places = (stream.places if index is None else stream.places[index]).view(shape)
            about.beyond = self._beyond(max(stream.lengths))
        out = self.whole(block, *taken(stream, index, shape), about).reshape(sum(counts), -1)
        if out.device != stream.x.device:
            move(stream, out.device)
            index = index if index is None else index.to(out.device)
        stream.x = out if index is None else stream.x.index_copy(0, index, out)
        if keep is True and cache is not None and about.queries is not None:
            stream.queries[block] = about.queries
        if about.scores is not None:
            where = where.to(stream.table.device)
            nothing = torch.full_like(stream.table, float("nan"))
            scores = nothing.masked_scatter(where, about.scores.to(stream.table.device))
            stream.note_scores(scores, lasting=router.lasts(block))
        if cache is not None:
            cache.held[block] = about.present
            if self.shrink is not None and about.present is not None:
                chosen = self.shrink(stream, where)
                stream.cached[block] = chosen.sum(1).tolist()
                among = stream.flat(chosen)[stream.flat(where)]
                cache.held[block] = about.present.only(among, stream.cached[block])
        return counts

    @uncompiled
    def look_ahead(self, stream: Stream, heads: Mapping[int, tuple[int, ...]], window: int | None = None) -> Tensor:
        """What later blocks would attend to, were they run on the states as they are.

        Args:
            stream: all tokens, before some block.
            heads: which ones, by block.
            window: so many last queries of each row look; None: as many as score the keys of blocks.
        Returns: (heads, T) attention on each token, flat, the maximum over queries; block by block.
        """
        shape, found = shape_of(stream.lengths), []
        windows = self.routing(stream).counting(stream) if window is None else [window] * stream.rows
        for block, some in heads.items():
            about = Attention(counts=stream.lengths, heads=some, **scoring_by(windows))
            if stream.places is not None:
                about.places, about.beyond = stream.places.view(shape), self._beyond(max(stream.lengths))
            with suppress(Looked):
                self.whole(block, *taken(stream, None, shape), about)
            assert about.scores is not None
            found.append(about.scores.to(stream.table.device).transpose(0, 1)[:, stream.real])
        return torch.cat(found)

    def whole(self, block: int, x: Tensor, positions: Tensor, cos: Tensor, sin: Tensor, about: Attention) -> Tensor:
        """A whole block on the tokens x, whose positions these are."""
        turned = self.layout.angles_of(block, cos, sin)
        module = self.layout.blocks[block]
        with ours(self.layout.config), sliced(module, x):
            out = module(x, attention_mask=None, position_ids=positions, position_embeddings=turned, tokenprune=about)
        if about.form is not None and block not in self.forms:
            self.forms[block] = about.form
        return out[0] if isinstance(out, tuple) else out

    def prefill(self, stream: Stream, cache: PrunedCache | None = None) -> Stream:
        """Run all blocks on a prompt."""
        return self.run(stream.x, stream, cache)

    def run(self, x: Tensor, stream: Stream, cache: PrunedCache | None = None) -> Stream:  # noqa: ARG002  (see below)
        """Run the blocks that have not run yet on a prompt, in one graph of `torch.compile`.

        `x` is the stream's: a function is traced by itself only where a tensor is among its arguments.
        """
        if cache is not None and not stream.kept:
            self.read(stream, cache)
        for block in range(len(stream.kept), self.blocks):
            self.step(stream, block, cache)
        return stream

    def read(self, stream: Stream, cache: PrunedCache) -> None:
        """Run the first blocks, which keep every token, on a prompt: no later token changes what they hold of it."""
        first = self.routing(stream).whole_blocks(self.blocks)
        for block in range(first):
            self.step(stream, block, cache)
        cache.note_prompt(stream.width, stream.lengths, stream.positions)
        if self.shrink is None:
            cache.read = Read(stream, [stream.queries.get(block) for block in range(first)])

    def decode(self, embeds: Tensor, cache: PrunedCache, position_ids: Tensor | None = None) -> Tensor:
        """Run new tokens (B, q, d) over a cache, the same tokens in each block of all rows -> (B, q, d).

        A block runs on them, or, if the router says that new tokens skip it, does not.
        """
        x, cos, sin, positions = self._after(embeds, cache, position_ids)
        for block in range(self.blocks):
            if cache.read is not None and block == cache.read.blocks:
                cache.read.add(x, positions)
            if self.router.skips_new(block):
                continue
            past = cache.held[block]
            if past is not None:
                x, cos, sin, positions = (one.to(past.keys.device) for one in (x, cos, sin, positions))
            x = self._over(block, x, positions, cos, sin, cache)
        if cache.read is not None and cache.read.blocks == self.blocks:
            cache.read.add(x, positions)
        cache.note_new(positions)
        cache.added += positions.shape[1]
        return x

    def new_tokens(self, embeds: Tensor, cache: PrunedCache, position_ids: Tensor | None = None) -> NewTokens:
        """What `over` is given to do the work of `decode` in one graph of `torch.compile`, for any number of tokens."""
        x, cos, sin, positions = self._after(embeds, cache, position_ids)
        new = x.shape[1]
        held = [None if one is None or self.router.skips_new(block) else one.fixed(new)
                for block, one in enumerate(cache.held)]  # fmt: skip
        read, places, beyond = cache.read, None, False
        scored = [] if read is None else [block for block, one in enumerate(read.queries) if one is not None]
        if self.layout.window is not None:
            places = (cache.tokens[:, None] + torch.arange(new)).to(x.device)
            beyond = self._beyond(cache.seen + new)
        return NewTokens(x, positions, cos, sin, held, places, beyond, scored, None if read is None else read.blocks)

    def over(self, x: Tensor, tokens: NewTokens) -> tuple[Tensor, Tensor, list[Tensor]]:
        """New tokens x (B, q, d) through all blocks, in one graph; caches are written in place.

        Returns: states after the last block, and after the first blocks, (B, q, d); queries of the scored blocks.
        """
        counts, queries, first = [x.shape[1]] * x.shape[0], [], x
        for block, held in enumerate(tokens.held):
            if block == tokens.first:
                first = x
            if held is None:
                continue
            about = Attention(counts=counts, cached=True, past=held, places=tokens.places, beyond=tokens.beyond)
            about.window = self.router.window if block in tokens.scored else 0
            x = self.whole(block, x, tokens.positions, tokens.cos, tokens.sin, about)
            if about.queries is not None:
                queries.append(about.queries)
        return x, x if tokens.first == len(tokens.held) else first, queries

    def note_new(self, tokens: NewTokens, first: Tensor, queries: Sequence[Tensor], cache: PrunedCache) -> None:
        """Enter into the cache what `over` returned of these tokens."""
        for block, one in enumerate(tokens.held):
            if one is not None:
                cache.held[block] = one.held()
        if cache.read is not None:
            cache.read.add(first, tokens.positions)
            for block, new in zip(tokens.scored, queries, strict=True):
                cache.read.note(block, new, self.router.remembered)
        cache.note_new(tokens.positions)
        cache.added += tokens.positions.shape[1]

    def read_on(self, embeds: Tensor, cache: PrunedCache, position_ids: Tensor | None = None) -> None:
        """Run more of a prompt (B, q, d) through the first blocks; `choose` runs the others."""
        assert cache.read is not None
        x, cos, sin, positions = self._after(embeds, cache, position_ids)
        for block in range(cache.read.blocks):
            x = self._over(block, x, positions, cos, sin, cache)
        cache.read.add(x, positions)
        cache.note_new(positions)

    def choose(self, cache: PrunedCache, protect: int | Tensor = 1, **more: Any) -> Stream:
        """Run the blocks that choose their tokens on all that was read: as if it had been one prompt.

        Args:
            cache: what these blocks held of it is replaced.
            protect: how many last tokens of each row every block keeps, or a bool mask (B, L) by row.
            more: query and record, as of `start`.
        Returns: the stream after the last block.
        """
        stream = self.ready(cache, protect, **more)
        return self.run(stream.x, stream, cache)

    def ready(self, cache: PrunedCache, protect: int | Tensor = 1, **more: Any) -> Stream:
        """As `choose`, before the first block that chooses has run."""
        read = cache.read
        assert read is not None
        cache.added = 0
        x, positions, lengths = read.tokens()
        stream = self._stream(x, positions, lengths, protect, read.real().to(x.device), **more)
        scoring = scoring_by(self.routing(stream).counting(stream))
        for block, queries in enumerate(read.queries):
            stream.kept.append(lengths)
            stream.routed.append(0)
            if stream.masks is not None:
                stream.masks.append(stream.real)
            held = cache.held[block]
            if queries is not None and held is not None:
                last = queries[:, :, -scoring["window"] :]
                found = scores_over(last, held.side_by_side(), self.forms[block], self.router.reduction,
                                    beyond=self._beyond(max(lengths)), windows=scoring["windows"])  # fmt: skip
                scores = torch.full_like(stream.table, float("nan")).masked_scatter(stream.real, found.to(x.device))
                stream.note_scores(scores, lasting=self.routing(stream).lasts(block))
        return stream

    def _after(
        self, embeds: Tensor, cache: PrunedCache, position_ids: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """New tokens with their cosines, sines (B, q, head_dim) and positions (B, q)."""
        rows, new = embeds.shape[:2]
        if cache.next_position is None or rows != cache.batch_size:
            raise InputError("cache", got=f"{cache.batch_size} rows", expected=f"{rows}, as in the input")
        step = torch.arange(new, device=embeds.device)
        positions = cache.next_position.to(embeds.device)[:, None] + step if position_ids is None else position_ids
        positions = positions.to(embeds.device).expand(rows, new)
        self._check_length(cache.seen + new)
        cos, sin = self.layout.angles(embeds, positions.flatten())
        return embeds, cos.view(rows, new, -1), sin.view(rows, new, -1), positions

    def _over(self, block: int, x: Tensor, positions: Tensor, cos: Tensor, sin: Tensor, cache: PrunedCache) -> Tensor:
        """New tokens through one block, over what it holds."""
        about = Attention(counts=[x.shape[1]] * x.shape[0], cached=True, past=cache.held[block])
        if self.layout.window is not None:
            about.places = (cache.tokens[:, None] + torch.arange(x.shape[1])).to(x.device)
            about.beyond = self._beyond(cache.seen + x.shape[1])
        queries = None if cache.read is None else cache.read.queries[block : block + 1]
        if queries and queries[0] is not None:
            about.window = self.router.window
        x = self.whole(block, x, positions, cos, sin, about)
        cache.held[block] = about.present
        if about.queries is not None and cache.read is not None:
            cache.read.note(block, about.queries, self.router.remembered)
        return x

    @torch.no_grad()
    def logits(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, *, protect: int = 1, **more: Any
    ) -> tuple[Tensor, Stream]:
        """Logits of each row's last `protect` tokens, (B, protect, vocabulary), and the stream after the blocks."""
        stream = self.prefill(self.start(input_ids, attention_mask, protect=protect, **more))
        return self.layout.logits(self.tail(stream, protect)), stream

    def cost_of_new(self, new: Sequence[int], cache: PrunedCache, logits: int = 0) -> Cost:
        """What so many new tokens of each row take over a cache, before they are decoded."""
        cached = [[] if self.router.skips_new(b) else cache.lengths(b) for b in range(self.blocks)]
        return self.costs.of_new(cached, new, logits=logits)

    def cost(self, stream: Stream, logits: int = 0) -> Cost:
        """What the pass that left this stream took; `logits`: positions whose logits are computed."""
        router, window = self.routing(stream), max(self.routing(stream).counting(stream))
        scored = [window * (router.queries(block) > 0) for block in range(len(stream.kept))]
        return self.costs.of_kept(stream.kept, logits=logits, scored=scored, routed=stream.routed, cached=stream.cached)
