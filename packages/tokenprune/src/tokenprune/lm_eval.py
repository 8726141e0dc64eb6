"""A model type for lm-eval (`lm_eval --model tokenprune`): its tasks, on a pruned model.

    lm_eval --model tokenprune --model_args pretrained=smollm2,sparsity=0.3 --tasks arc_easy

Versions of lm-eval that have plugins (after 0.4.13) find it by the package's entry point, others after
`import tokenprune.lm_eval`. Tokens are scored as in use: the context alone is read and routed, continuations are
decoded over its cache; choices that share a context read it once. Text of which every token is scored (perplexity) goes
through in steps of `rolling` tokens.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor

from tokenprune import datasets
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored
from tokenprune.models._families import tiny_model
from tokenprune.models._layout import Layout
from tokenprune.models._models import checked_dtype, load
from tokenprune.pruner._config import FTPConfig
from tokenprune.pruner._pruner import TokenPruner

if importlib.util.find_spec("lm_eval") is None:
    raise InputError("lm-eval", got="not installed", expected="pip install lm-eval")

from lm_eval.api.model import LM  # pyright: ignore[reportMissingImports]
from lm_eval.api.registry import register_model  # pyright: ignore[reportMissingImports]

_ITS_OWN = ("max_batch_size", "trust_remote_code")


@register_model("tokenprune")
class TokenPruneLM(LM):
    """A pruned causal language model behind lm-eval's three kinds of request.

    Args:
        pretrained: smollm2, tiny (random weights), a local folder, or a hub id.
        pruner: a pruner's folder; left out, the dense model on the same executor, unless `sparsity` is given.
        sparsity: of the training-free pruner, where there is no folder.
        batch_size: sequences scored at once; "auto" is 8.
        device: where the model is put.
        max_length: longest sequence; the model's limit if left out. Longer contexts lose their beginning.
        max_gen_toks: new tokens, if a task does not say how many.
        rolling: tokens scored in one step of a whole text.
        dtype: of the weights, by name; as they are stored if left out.
        others: what lm-eval passes to all models (`_ITS_OWN`), not needed here; anything else is refused, as a
            misspelt `pruner` would score the dense model.
    """

    def __init__(
        self, pretrained: str = "smollm2", pruner: str | None = None, batch_size: int | str = 8, device: str = "cpu",
        max_length: int | None = None, max_gen_toks: int = 256, rolling: int = 64, dtype: str = "auto",
        sparsity: float | None = None, **others: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        unknown = [name for name in others if name not in _ITS_OWN]
        if unknown:
            known = "pretrained, pruner, sparsity, batch_size, device, max_length, max_gen_toks, rolling and dtype"
            raise InputError("model_args", got=", ".join(unknown), expected=f"no other than {known}")
        device = device or "cpu"
        if pretrained == "tiny":
            kind = checked_dtype(dtype)
            self.model, self.tokenizer = tiny_model().to(device, None if kind == "auto" else kind), None
        else:
            self.model, self.tokenizer = load(pretrained, device=device, dtype=dtype)
        if pruner and sparsity is not None:
            raise InputError("sparsity", got=sparsity, expected="none beside pruner, which brings its own")
        self.pruner = TokenPruner.from_pretrained(pruner, self.model) if pruner else None
        if sparsity is not None:
            self.pruner = TokenPruner(self.model, FTPConfig(target_sparsity=sparsity))
        self.dense = Executor(Layout.of(self.model))
        layout = self.dense.layout
        self.longest = min(max_length or layout.limit, layout.limit)
        self.rows = 8 if str(batch_size).startswith("auto") else int(batch_size)
        self.max_gen_toks, self.rolling, self.pretrained = int(max_gen_toks), int(rolling), pretrained
        if self.rows < 1 or not 0 < self.rolling < self.longest:
            raise InputError("model_args", got=f"batch_size={batch_size}, rolling={rolling}",
                             expected=f"a batch of 1 or more, and rolling from 1 to {self.longest - 1}")  # fmt: skip

    @property
    def executor(self) -> Executor:
        """The pruner's, under its present settings; without one, the dense model's."""
        return self.pruner.executor() if self.pruner else self.dense

    # --- what lm-eval asks for ---

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:  # noqa: ARG002
        """(log-likelihood of the continuation, whether it is the greedy one) of each (context, continuation)."""
        pairs = [self._pair(*request.args) for request in requests]
        found = self._score(pairs)
        for request, one in zip(requests, found, strict=True):
            self.cache_hook.add_partial("loglikelihood", request.args, one)
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:  # noqa: ARG002
        """Log-likelihood of each whole text, every token scored once, with as much before it as there is room for."""
        found = []
        for request in requests:
            (text,) = request.args
            ids = datasets.tokens(text, self.tokenizer)
            whole = torch.cat([self._first(), ids])
            steps = [
                (self._last(whole[: end + 1], self.longest + 1), min(self.rolling, end - start))
                for start in range(0, len(ids), self.rolling)
                for end in [min(start + self.rolling, len(ids))]
            ]
            found.append(sum(value for value, _ in self._score(steps)))
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, found[-1])
        return found

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:  # noqa: ARG002
        """The continuation of each (context, settings), up to the first of the settings' `until`."""
        found = []
        for request in requests:
            context, settings = request.args
            found.append(self._generate(context, dict(settings)))
            self.cache_hook.add_partial("generate_until", request.args, found[-1])
        return found

    @property
    def tokenizer_name(self) -> str:
        """For lm-eval's cache of requests."""
        return str(self.pretrained).replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The tokenizer's own template, if one is asked for."""
        return getattr(self.tokenizer, "chat_template", None) if chat_template else None

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A conversation as one text."""
        if self.tokenizer is None or self.tokenizer.chat_template is None:
            raise InputError("apply_chat_template", got=f"{self.pretrained}, which has no chat template")
        return self.tokenizer.apply_chat_template(
            chat_history, tokenize=False, add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )  # fmt: skip

    # --- how ---

    def _last(self, ids: Tensor, room: int) -> Tensor:
        """As many of the last tokens as there is room for, after the BOS if the tokenizer puts one first."""
        if len(ids) <= room:
            return ids
        first = datasets.prefix(self.tokenizer)
        return torch.cat([first, ids[len(ids) - room + len(first) :]])

    def _first(self) -> Tensor:
        """What stands before a text that has nothing before it."""
        known = [getattr(self.tokenizer, name, None) for name in ("bos_token_id", "eos_token_id")]
        return torch.tensor([next((one for one in known if one is not None), 0)])

    def _pair(self, context: str, continuation: str) -> tuple[Tensor, int]:
        """(ids of both, tokens of the continuation); spaces between them belong to the continuation."""
        bare = context.rstrip(" ")
        continuation = context[len(bare) :] + continuation
        before, whole = (datasets.prompt(text, self.tokenizer) for text in (bare, bare + continuation))
        if not torch.equal(whole[: len(before)], before):  # a token across the seam: cut it there
            whole = torch.cat([before, datasets.tokens(continuation, self.tokenizer)])
        count = len(whole) - len(before)
        whole = whole if len(before) else torch.cat([self._first(), whole])
        if count > self.longest:
            raise InputError("continuation", got=f"{count} tokens", expected=f"at most {self.longest}")
        return self._last(whole, self.longest + 1), count

    @torch.no_grad()
    def _score(self, pairs: Sequence[tuple[Tensor, int]]) -> list[tuple[float, bool]]:
        """Continuations of one context together; others longest first, so that rows of a batch are about as long."""
        found = [(0.0, True)] * len(pairs)  # an empty continuation is certain
        contexts: dict[bytes, list[int]] = {}
        for at, (ids, count) in enumerate(pairs):
            if count:
                contexts.setdefault(ids[:-count].numpy().tobytes(), []).append(at)
        groups = [group for group in contexts.values() if len(group) > 1]
        alone = sorted((group[0] for group in contexts.values() if len(group) == 1), key=lambda at: -len(pairs[at][0]))
        batches = [group[at : at + self.rows] for group in (*groups, alone) for at in range(0, len(group), self.rows)]
        for batch in batches:
            data = Scored([pairs[at][0] for at in batch], [pairs[at][1] for at in batch])
            logits = data.decoded(self.executor)[0].log_softmax(-1).cpu()
            chosen = logits.gather(1, data.targets[:, None])[:, 0]
            greedy = (logits.argmax(-1) == data.targets).float()
            values = zip(data.by_sequence(chosen), data.by_sequence(1 - greedy), strict=True)
            for at, (value, misses) in zip(batch, values, strict=True):
                found[at] = float(value), float(misses) == 0
        return found

    def _generate(self, context: str, settings: dict[str, Any]) -> str:
        until = settings.pop("until", None) or []
        until = [until] if isinstance(until, str) else list(until)
        new = int(settings.pop("max_gen_toks", self.max_gen_toks))
        if new >= self.longest:
            raise InputError("max_gen_toks", got=new, expected=f"less than the {self.longest} positions there are")
        settings.setdefault("do_sample", settings.get("temperature", 0.0) > 0)
        if not settings["do_sample"]:
            settings.pop("temperature", None)
        if self.tokenizer is not None and until:
            settings |= {"stop_strings": until, "tokenizer": self.tokenizer}
        ids = datasets.prompt(context, self.tokenizer)
        ids = self._last(ids if len(ids) else self._first(), self.longest - new)[None].to(self.executor.layout.device)
        settings |= {"attention_mask": torch.ones_like(ids), "max_new_tokens": new, "pad_token_id": 0}
        with self.pruner or contextlib.nullcontext():
            out = self.model.generate(ids, **settings)
        text = datasets.words(out[0, ids.shape[1] :], self.tokenizer)
        return text[: min([at for at in map(text.find, until) if at >= 0], default=len(text))]
