"""A text that is read once and asked many times: its dense first blocks are kept, each question chooses anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor

from tokenprune.executor._cache import PrunedCache
from tokenprune.executor._cache_name import CACHE_NAME
from tokenprune.executor._cost import Cost
from tokenprune.pruner._pruner import TokenPruner


class Document:
    """A document under a pruner, for many questions.

    The first blocks, which skip nothing, read it once. Each question is read on from there, and the later blocks run
    on what they choose for that question: the answer is the one that document and question in one prompt would have
    under `TokenPruner.asking`.

    Args:
        pruner: attached or not. Where its settings change, the next question reads the document again.
        ids: (L,) or (1, L) tokens of the document, as they begin a prompt.

    Attributes:
        ids: (1, L) these tokens, on the model's device.

    Raises:
        InputError: if there is no token, or the pruner bounds its caches (`cache_tokens`), so that no block holds
            all of the document.

    Examples:
        >>> import torch
        >>> from tokenprune import Document, TokenPruner, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> document = Document(TokenPruner(model), ids)  # read once
        >>> questions = [torch.tensor([7, 8, 9]), torch.tensor([4, 5])]
        >>> [len(document.ask(question, max_new_tokens=3)) for question in questions]
        [3, 3]

        Reading once costs less than two whole prompts:

        >>> apart = TokenPruner(model).cost([43]).plus(TokenPruner(model).cost([42]))
        >>> document.cost([3, 2]).flops < apart.flops
        True
    """

    def __init__(self, pruner: TokenPruner, ids: Tensor) -> None:
        self.pruner = pruner
        self.ids = (ids[None] if ids.dim() == 1 else ids).to(pruner.layout.device)
        if self.ids.shape[0] != 1:
            raise InputError("document", got=f"{self.ids.shape[0]} rows", expected="one")
        self._read()

    @torch.no_grad()
    def _read(self) -> None:
        """Run the first blocks on the document, under the pruner's present settings."""
        if self.pruner.config.cache_tokens is not None:
            raise InputError(
                "document", got=f"cache_tokens={self.pruner.config.cache_tokens}", expected="no such bound"
            )
        self.executor = self.pruner.executor()
        self._cache = PrunedCache(self.executor.blocks)
        self._cache.reader = self.executor
        self.executor.read(self.executor.start(self.ids), self._cache)

    def _follow(self) -> None:
        """Read again if the pruner's settings have changed."""
        if self.executor.settings != self.pruner.settings:
            self._read()

    def ask(self, question: Tensor, **options: Any) -> Tensor:
        """Tokens that follow document and question.

        Args:
            question: (Q,) tokens; may end with what begins the answer.
            options: of transformers' `generate`, as max_new_tokens.
        Returns: (n,) new tokens.
        """
        if question.dim() != 1 or len(question) == 0:
            raise InputError(
                "question", got=f"shape {tuple(question.shape)}", expected="at least one token, in one row"
            )
        self._follow()
        both = torch.cat([self.ids, question[None].to(self.ids.device)], 1)
        settings = {"attention_mask": torch.ones_like(both), "do_sample": False, "pad_token_id": 0, **options}
        with self.pruner.asking(len(question)):
            out = self.pruner.layout.model.generate(both, **{CACHE_NAME: self._cache.fork()}, **settings)
        return out[0, both.shape[1] :]

    def cost(self, questions: Sequence[int]) -> Cost:
        """Of reading the document once, and of questions of so many tokens, with the logits that begin each answer."""
        self._follow()
        executor, length = self.executor, self.ids.shape[1]
        whole = executor.router.of(length).whole_blocks(executor.blocks)
        first = total = executor.costs.of_kept([[length]] * whole)
        for asked in questions:
            both = self.pruner.cost([length + asked], query=asked)
            total = total.plus(Cost(both.flops - first.flops, both.kv_bytes - first.kv_bytes, both.routing_flops))
        return total
