"""Putting an executor under an unchanged model, and taking it away again: no weight is touched.

While attached, the decoder's forward is ours (an attribute of that one object, not of its class), and a hook notes how
many logits the caller asks for, so that their positions are protected. Detaching removes both.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor
from transformers.cache_utils import Cache
from transformers.modeling_outputs import MoeModelOutputWithPast

from tokenprune.executor._cache import PrunedCache
from tokenprune.executor._cache_name import CACHE_NAME, TAKEN, check_cache, given_cache, of_dense, output_with_cache
from tokenprune.executor._executor import Executor
from tokenprune.executor._stream import Stream, checked_ids, checked_query, rows_of, uncompiled
from tokenprune.executor._turns import NewTokens
from tokenprune.models._layout import ATTACHED, Layout, check_free

Spans = Sequence[Sequence[tuple[int, int]]]
_OURS, _IGNORED = "_tokenprune_cache", -100  # transformers' label of what no loss is taken of


@dataclass(frozen=True)
class _Prompt:
    """A prompt whose blocks, or those that choose their tokens, are yet to run.

    Attributes:
        shape: rows and columns of the input. turn: the columns are new tokens of a prompt that was read before.
        tell: how many last tokens are protected where all logits are read and the caller is to be warned, else zero.
    """

    executor: Executor
    stream: Stream
    cache: PrunedCache | None
    shape: tuple[int, int]
    turn: bool = False
    tell: int = 0


@dataclass(frozen=True)
class _New:
    """New tokens that all blocks are yet to decode."""

    executor: Executor
    tokens: NewTokens
    cache: PrunedCache


class Attached:
    """An executor in the place of a decoder's forward.

    Args:
        layout: of the model.
        current: gives the executor of the next prompt, and how many last tokens are protected where the caller asks for
            fewer logits. It is called at each prompt, so that settings that change while attached take effect.
        watch: is given the stream of each prompt.
    """

    def __init__(
        self, layout: Layout, current: Callable[[], tuple[Executor, int]], watch: Callable[[Stream], object]
    ) -> None:
        self.layout, self.current, self.watch = layout, current, watch
        decoder, model = layout.decoder, layout.model
        check_free(decoder)
        self._call = threading.local()  # what the caller of the model asks for: each thread has calls of its own
        self._told = False
        self.spans: Spans = ()  # stretches of each row's prompt that every block keeps
        self.query: int | Sequence[int] | None = None  # as of `checked_query`
        self._own = {name: one for name, one in vars(decoder).items() if name == "forward"}  # accelerate puts one there
        self._hook = model.register_forward_pre_hook(self._note, with_kwargs=True)
        decoder.forward = self._forward
        self._own_prefill = getattr(model, "_prefill", None)  # of `generate`
        if self._own_prefill is not None:
            model._prefill = self._prefill
        self._own_candidates = getattr(model, "_get_candidate_generator", None)
        if self._own_candidates is not None:
            self._own_generate = model.generate
            model._get_candidate_generator, model.generate = self._candidates, self._generate
        object.__setattr__(decoder, ATTACHED, True)

    def remove(self) -> None:
        """Give the decoder its forward back."""
        decoder = self.layout.decoder
        self._hook.remove()
        del decoder.forward
        vars(decoder).update(self._own)
        for name in ("_prefill", "_get_candidate_generator", "generate"):
            self.layout.model.__dict__.pop(name, None)
        object.__delattr__(decoder, ATTACHED)

    def _note(self, _module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        self._call.asked, self._call.labels = kwargs.get("logits_to_keep", 0), kwargs.get("labels")

    def _forward(self, *args: Any, **named: Any) -> MoeModelOutputWithPast:
        """The decoder's forward. `torch.compile` traces the blocks, in one graph of a prompt and in one of new tokens;
        what stands around them runs as it is.
        """
        begun = self._begin(*args, compiled=torch.compiler.is_compiling(), **named)
        if isinstance(begun, _Prompt):
            begun.executor.run(begun.stream.x, begun.stream, begun.cache)
            return self._end(begun)
        if isinstance(begun, _New):
            return self._end_of_new(begun, begun.executor.over(begun.tokens.x, begun.tokens))
        return begun

    @uncompiled
    def _begin(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None, cache: Cache | None = None,
        inputs_embeds: Tensor | None = None, use_cache: bool | None = None, *,
        past_key_values: Cache | None = None, compiled: bool = False, **more: Any,
    ) -> MoeModelOutputWithPast | _Prompt | _New:  # fmt: skip
        """What is yet to run of a prompt, or, if blocks are `compiled`, of new tokens; else the output."""
        for name in ("output_attentions", "output_hidden_states"):
            if more.get(name):
                raise InputError(name, got=True, expected="False while a pruner is attached: tokens skip blocks")
        layout = self.layout
        use_cache = layout.config.use_cache if use_cache is None else use_cache
        given = input_ids if inputs_embeds is None else inputs_embeds
        if given is None:
            raise InputError("input_ids", got="neither ids nor embeddings", expected="one of them")
        if inputs_embeds is None:
            checked_ids(given, vocabulary=layout.decoder.embed_tokens.weight.shape[0])
        rows, width = given.shape[:2]
        asked, labels = self._call.__dict__.pop("asked", None), self._call.__dict__.pop("labels", None)
        callers_cache = given_cache(cache, past_key_values)
        check_cache(callers_cache, windowed=layout.window is not None or isinstance(attention_mask, dict))
        if attention_mask is not None and attention_mask.dim() == 4 and callers_cache is not None:
            attention_mask = _of_static(attention_mask, int(callers_cache.get_seq_length()) + width)
        if position_ids is not None:
            _check_positions(position_ids, attention_mask, layout.limit)
        went_before = _filled(callers_cache, width, attention_mask)
        if went_before is not None:
            filled = went_before
            if not isinstance(filled, PrunedCache):
                filled = of_dense(filled, attention_mask, rows, windowed=layout.window is not None)
            if attention_mask is not None:
                _check_goes_on(attention_mask, given.device)
            embeds = layout.embed(given) if inputs_embeds is None else layout.entering(inputs_embeds)
            return self._go_on(embeds, filled, position_ids, asked, labels, compiled=compiled)
        executor, protected = self.current()
        prompt = self._call.__dict__.get("prompt") or width
        if prompt < width:  # assisted decoding gives its first candidates with the prompt
            return self._with_candidates(given, inputs_embeds, attention_mask, position_ids, prompt)
        new = PrunedCache(executor.blocks) if use_cache else None
        if new is not None:
            new.reader = executor
        if new is not None and type(callers_cache) in TAKEN:
            setattr(callers_cache, _OURS, new)
        everything = isinstance(asked, int) and asked == 0 and labels is None and not self._told
        wanted = asked or 0 if isinstance(asked, int) else asked
        protect = self._protected(rows, width, attention_mask, wanted, labels, protected)
        if position_ids is None:  # as the model itself counts: columns of the input, padding on the left included
            position_ids = torch.arange(width, device=given.device)[None]
        embeds = None if inputs_embeds is None else layout.entering(inputs_embeds)
        stream = executor.start(
            input_ids, attention_mask, position_ids, protect=protect, query=checked_query(self.query, rows),
            record=everything, embeds=embeds,
        )  # fmt: skip
        if new is not None and self._more_to_come(width):
            executor.read(stream, new)
            return output_with_cache(stream.x.new_zeros(rows, width, stream.x.shape[-1]), new)
        return _Prompt(executor, stream, new, (rows, width), tell=protected if everything else 0)

    @uncompiled
    def _end(self, prompt: _Prompt) -> MoeModelOutputWithPast:
        """The output of a prompt whose blocks have run."""
        stream, cache, (rows, width) = prompt.stream, prompt.cache, prompt.shape
        self.watch(stream)
        if prompt.tell:
            self._tell(stream, prompt.tell)
        if prompt.turn:
            assert cache is not None
            return output_with_cache(self.layout.decoder.norm(prompt.executor.tail(stream, width)), cache)
        out = self.layout.decoder.norm(stream.x)
        full = out.new_zeros(rows * width, out.shape[-1]).index_copy(0, stream.columns.to(out.device), out)
        return output_with_cache(full.view(rows, width, -1), cache)

    @uncompiled
    def _end_of_new(self, new: _New, found: tuple[Tensor, Tensor, list[Tensor]]) -> MoeModelOutputWithPast:
        """The output of new tokens that all blocks have run on."""
        x, first, queries = found
        new.executor.note_new(new.tokens, first, queries, new.cache)
        return output_with_cache(self.layout.decoder.norm(x), new.cache)

    def _go_on(
        self, embeds: Tensor, cache: PrunedCache, position_ids: Tensor | None, asked: int | Tensor | None,
        labels: Tensor | None, *, compiled: bool,
    ) -> MoeModelOutputWithPast | _Prompt | _New:  # fmt: skip
        """New tokens (B, new, d) over a cache: what is yet to run, or the output.

        One token is decoded. More than one are more of the prompt: the first blocks read them, and every later block
        chooses anew. Those whose logits are read are kept by every block.
        """
        (current, protected), new = self.current(), embeds.shape[1]
        executor = current if cache.reader is None else cache.reader
        prefilling = self._call.__dict__.get("total") is not None
        if cache.read is None or self._call.__dict__.get("prompt") or (new == 1 and not prefilling):
            devices = {embeds.device, *(one.keys.device for one in cache.held if one is not None)}
            if compiled and not torch.is_grad_enabled() and len(devices) == 1:
                return _New(executor, executor.new_tokens(embeds, cache, position_ids), cache)
            out = executor.decode(embeds, cache, position_ids)
            return output_with_cache(self.layout.decoder.norm(out), cache)
        if executor.settings != current.settings:
            raise InputError("cache", got="a prompt that was read under other settings of the pruner",
                             expected="an empty cache, or the settings it was read under")  # fmt: skip
        executor.read_on(embeds, cache, position_ids)
        if self._more_to_come(cache.seen):
            return output_with_cache(torch.zeros_like(embeds), cache)
        real = cache.read.real()
        last = 0 if isinstance(asked, Tensor) or labels is not None else asked or new
        protect = kept_whole(real, max(last, protected), self.spans)
        of_new = torch.zeros(new, dtype=torch.bool) if not isinstance(asked, Tensor) else _named(asked.cpu(), new)
        wanted = of_new.expand(len(real), new).clone()
        if labels is not None:
            wanted[:, :-1] |= labels.cpu()[:, 1:] != _IGNORED
        for row, length in enumerate(real.sum(1).tolist()):
            protect[row, length - new : length] |= wanted[row]
        stream = executor.ready(cache, protect, query=checked_query(self.query, len(real)))
        return _Prompt(executor, stream, cache, (len(real), new), turn=True)

    def _with_candidates(
        self, given: Tensor, embeds: Tensor | None, attention_mask: Tensor | None, position_ids: Tensor | None,
        prompt: int,
    ) -> MoeModelOutputWithPast:  # fmt: skip
        """A prompt and candidates after it: the prompt is pruned as if it stood by itself, candidates are decoded."""
        ids = None if embeds is not None else given
        mask, at = (None if one is None else one[..., :prompt] for one in (attention_mask, position_ids))
        self._call.asked = 1
        found = self._forward(None if ids is None else ids[:, :prompt], mask, at, use_cache=True,
                              inputs_embeds=None if embeds is None else embeds[:, :prompt])  # fmt: skip
        filled: Any = getattr(found, CACHE_NAME)
        rest = self.layout.embed(given[:, prompt:]) if embeds is None else self.layout.entering(embeds[:, prompt:])
        later = None if position_ids is None else position_ids[..., prompt:]
        out = self.layout.decoder.norm(filled.reader.decode(rest, filled, later))
        first: Any = found.last_hidden_state
        return output_with_cache(torch.cat([first, out], 1), filled)

    def _candidates(self, *args: Any, input_ids: Tensor, **more: Any) -> Any:
        """Assisted decoding begins: how long the prompt is, so that candidates are no part of it."""
        self._call.prompt = input_ids.shape[1]
        assert self._own_candidates is not None
        return self._own_candidates(*args, input_ids=input_ids, **more)

    def _generate(self, *args: Any, **more: Any) -> Any:
        """The model's own `generate`; what assisted decoding noted is forgotten at its end."""
        try:
            return self._own_generate(*args, **more)
        finally:
            self._call.prompt = None

    def _more_to_come(self, seen: int) -> bool:
        """Whether `generate` reads a prompt in chunks and this is not the last one."""
        total = self._call.__dict__.get("total")
        return total is not None and seen < total

    def _prefill(
        self, input_ids: Tensor, generation_config: Any, model_kwargs: dict[str, Any], *args: Any, **more: Any
    ):
        """`generate` reads a prompt: how many tokens there will be, if it does so in chunks."""
        mask, total = model_kwargs.get("attention_mask"), 0
        if generation_config.prefill_chunk_size is not None:
            whole = getattr(generation_config, "_mask_length", input_ids.shape[1])  # where there is no mask
            total = whole if mask is None else mask.shape[-1]
        self._call.total = total
        try:
            assert self._own_prefill is not None
            return self._own_prefill(input_ids, generation_config, model_kwargs, *args, **more)
        finally:
            self._call.total = None

    def _tell(self, stream: Stream, protected: int) -> None:
        """Warn, once, which of the logits that a plain call returns are of tokens that some block skipped."""
        some = [f"{places} of row {row}" for row, places in enumerate(stream.skipped_places()) if places]
        if some:
            self._told = True
            more = f" and in {len(some) - 1} rows more" if len(some) > 1 else ""
            warnings.warn(
                f"logits of positions {some[0]}{more} are of tokens that some block skipped, so not the model's: read "
                f"the last {protected} (logits_to_keep), give labels, or make `protect` larger", stacklevel=2,
            )  # fmt: skip

    def _protected(
        self, rows: int, width: int, attention_mask: Tensor | None, asked: int | Tensor | None, labels: Tensor | None,
        least: int,
    ) -> int | Tensor:  # fmt: skip
        """The last tokens, and the positions whose logits the caller reads, by `logits_to_keep` or for a loss."""
        last = max(least, asked) if isinstance(asked, int) else least
        if (asked is None or isinstance(asked, int)) and labels is None and not self.spans:
            return last
        real = torch.ones(rows, width, dtype=torch.bool) if attention_mask is None else attention_mask.cpu() != 0
        named = kept_whole(real, last, self.spans)
        if isinstance(asked, Tensor):
            named[:, asked.cpu()] = True
        if labels is not None:
            named[:, :-1] |= labels.cpu()[:, 1:] != _IGNORED  # a position predicts the token after it
        return named


def kept_whole(real: Tensor, last: int, spans: Spans) -> Tensor:
    """(B, width) the last columns and those that the spans name.

    Args:
        real: (B, width) columns that are no padding.
        last: tokens of each row.
        spans: for each row, or one for all rows, (first, stop) pairs that count the row's own tokens from 0; none: ().
    Raises:
        InputError: names the row and the span that is out of its prompt.
    """
    named = real & (real.flip(1).cumsum(1).flip(1) <= last)
    rows = list(spans) * (len(real) if len(spans) == 1 else 1)
    if spans and len(rows) != len(real):
        raise InputError("spans", got=f"of {len(spans)} rows", expected=f"of one row, or of {len(real)}")
    place = real.cumsum(1) - 1
    for row, pairs in enumerate(rows):
        length = int(real[row].sum())
        for first, stop in pairs:
            if not 0 <= first < stop <= length:
                raise InputError("span", where=f"row {row}", got=f"tokens {first} to {stop}",
                                 expected=f"a stretch of its {length} tokens")  # fmt: skip
            named[row] |= real[row] & (place[row] >= first) & (place[row] < stop)
    return named


def _named(asked: Tensor, new: int) -> Tensor:
    """(new,) which of the new tokens an index names."""
    named = torch.zeros(new, dtype=torch.bool)
    named[asked] = True
    return named


@uncompiled
def _check_positions(position_ids: Tensor, attention_mask: Tensor | None, limit: int) -> None:
    """InputError where positions of a row do not ascend: several texts packed into one row; or go beyond the limit."""
    if int(position_ids.max()) >= limit:
        raise InputError("position_ids", got=int(position_ids.max()), expected=f"at most {limit} positions")
    steps = position_ids[..., 1:] - position_ids[..., :-1]
    back = steps <= 0
    if attention_mask is not None and attention_mask.shape[-1] >= position_ids.shape[-1]:  # padding may stand still
        real = attention_mask[:, -position_ids.shape[-1] :].to(back.device) != 0
        back = back & real[:, 1:] & real[:, :-1]
    if bool(back.any()):
        row, column = back.nonzero()[0].tolist()
        raise InputError(
            "position_ids", where=f"row {row}, token {column + 1}", got="a position that is not after the one before",
            expected="one text in each row", hint="packed rows are not supported: pad the texts, a row for each",
        )  # fmt: skip


def _of_static(seen: Tensor, tokens: int) -> Tensor:
    """(B, tokens) the mask from which `generate` made one of queries by a static cache's columns, (B, 1, q, n)."""
    last = seen[:, 0, -1, :tokens]
    return last if last.dtype == torch.bool else last == 0


@uncompiled
def _check_goes_on(attention_mask: Tensor, device: torch.device) -> None:
    """InputError where new tokens follow padding, or padding stands between tokens."""
    rows, width = attention_mask.shape
    real = attention_mask != 0
    after = (real[:, 1:] & ~real[:, :-1] & (real.cumsum(1)[:, :-1] > 0)).any(1)
    if bool(after.any()):
        row = int(after.nonzero()[0, 0])
        raise InputError(
            "attention_mask", where=f"row {row}", got="padding between real tokens, before the new ones",
            expected="prompts padded on the left where tokens are to follow",
            hint='the padding stood on the right of the prompt: set tokenizer.padding_side = "left"',
        )  # fmt: skip
    rows_of(attention_mask, rows, width, device)


def _filled(given: Cache | None, width: int, attention_mask: Tensor | None) -> Cache | None:
    """The cache to continue from: the one given, or ours if an empty one came with the prompt and comes again.

    (transformers fills the caller's own object, so loops give it at every step. A mask that ends with the tokens given
    tells a prompt from what follows one.)
    """
    if given is None or given.get_seq_length() > 0:
        return given
    ours = getattr(given, _OURS, None)
    return None if attention_mask is not None and attention_mask.shape[-1] == width else ours
