"""The pruner: a frozen model, a schedule, a router; attach, report, save."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from ninefold.errors import ArtifactError, InputError
from torch import Tensor, nn

from tokenprune.datasets import LongTask
from tokenprune.executor._attach import Attached, Spans, kept_whole
from tokenprune.executor._cache import PrunedCache
from tokenprune.executor._cost import Cost
from tokenprune.executor._executor import Executor
from tokenprune.executor._probe import probe
from tokenprune.executor._scored import Scored
from tokenprune.executor._stream import Stream, checked_query
from tokenprune.models._layout import Layout
from tokenprune.pruner import _files
from tokenprune.pruner._base_model import base_of, check_base
from tokenprune.pruner._config import FTPConfig
from tokenprune.pruner._learn import HEADS, worth
from tokenprune.pruner._report import Report, planned_cost
from tokenprune.routers._observation_router import ObservationRouter, cache_choice, settled
from tokenprune.routers._schedule import checked_schedule, checked_target, dense_first, project, uniform
from tokenprune.routers._static_router import StaticRouter

_LEARNT_AT = 0.6  # heads look at what a tenth of the blocks leaves, as with every target above `SPARSE`


class TokenPruner:
    """Skips unimportant tokens of a frozen causal language model, block by block.

    Args:
        model: a transformers causal language model; its weights are read only.
        config: see `FTPConfig`.
        schedule: sparsity of each block; left out, that of `dense_first` for the observation router, else uniform.

    Raises:
        InputError: for a model of another kind; says what about it.

    Examples:
        >>> import torch
        >>> from tokenprune import FTPConfig, TokenPruner, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> pruner = TokenPruner(model, FTPConfig(target_sparsity=0.3))
        >>> with pruner:  # the model's own generate, in which blocks skip tokens
        ...     out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, pad_token_id=0)
        >>> out.shape
        torch.Size([1, 44])
        >>> round(pruner.report(ids).sparsity, 2)
        0.3

        >>> path = pruner.save_pretrained("pruned")
        >>> again = TokenPruner.from_pretrained("pruned", model)
        >>> again.schedule == pruner.schedule
        True
    """

    kind: ClassVar[type[FTPConfig]] = FTPConfig  # of its settings
    net: nn.Module | None = None  # a learnt router's

    def __init__(
        self, model: nn.Module, config: FTPConfig | None = None, schedule: Sequence[float] | None = None
    ) -> None:
        self.layout = Layout.of(model)
        self._config = self._checked(self.kind() if config is None else config)
        probe(self.layout)
        blocks = len(self.layout.blocks)
        self.schedule = self._first(self.config.target_sparsity, blocks) if schedule is None else schedule
        self.history: list[dict[str, Any]] = []
        self.metrics: dict[str, Any] = {}
        self.measured: float | None = None
        self.last: Stream | None = None
        self._attached: Attached | None = None
        self._latest: Executor | None = None

    @property
    def config(self) -> Any:
        """The settings; others can be set at any time, and hold from the next prompt on."""
        return self._config

    @config.setter
    def config(self, config: FTPConfig) -> None:
        before, usual = self._config, self.schedule == self._first(self.config.target_sparsity, len(self.schedule))
        schedule = self.schedule
        if self._checked(config).target_sparsity != before.target_sparsity:
            schedule = self._scaled(config.target_sparsity)
        self._config, self.measured = config, None
        if usual and config.router != before.router:
            schedule = self._first(config.target_sparsity, len(schedule))
        self._schedule = schedule

    @property
    def schedule(self) -> tuple[float, ...]:
        """Sparsity of each block; another one can be set at any time, and holds from the next prompt on."""
        return self._schedule

    @schedule.setter
    def schedule(self, schedule: Sequence[float]) -> None:
        self._schedule = checked_schedule(schedule, len(self.layout.blocks))

    def _checked(self, config: Any) -> Any:
        """The settings, if they are this kind's and the model has their heads; InputError else."""
        if not isinstance(config, self.kind):
            raise InputError("config", got=f"{config!r:.40}", expected=f"a {self.kind.__name__}")
        blocks, heads = len(self.layout.blocks), self.layout.heads
        beyond = [at for at in config.observation.heads if at[0] >= blocks or at[1] >= heads]
        if beyond:
            expected = f"one of {blocks} blocks and {heads} heads"
            raise InputError("observation heads", got=f"block {beyond[0][0]}, head {beyond[0][1]}", expected=expected)
        return config

    def _first(self, target: float, blocks: int) -> tuple[float, ...]:
        """The schedule of a target where none is given."""
        return dense_first(target, blocks) if self.config.router == "observation" else uniform(target, blocks)

    def router(self, schedule: Sequence[float] | None = None) -> StaticRouter:
        """The router of a schedule, this pruner's own if none is given."""
        schedule = self.schedule if schedule is None else schedule
        if self.config.router == "observation":
            bounded, target, blocks = self.config.cache_tokens is not None, self.config.target_sparsity, len(schedule)
            usual = schedule == self._first(target, blocks) and not self.config.observation.heads
            longer = dense_first(target, blocks, long=True) if usual else None
            return ObservationRouter(schedule, self.config.observation, score_all=bounded, longer=longer)
        return StaticRouter(schedule)

    def executor(self) -> Executor:
        """The model's blocks under this pruner's router."""
        tokens = self.config.cache_tokens
        shrink = None if tokens is None else cache_choice(tokens, settled(self.config.observation, self.schedule))
        made = Executor(self.layout, self.router(), shrink)
        made.settings = self.settings
        return made

    @property
    def settings(self) -> object:
        """What decides which tokens are kept: executors and documents of other settings are made anew."""
        return self.config, self.schedule, id(self.net)

    def _current(self) -> tuple[Executor, int]:
        """The executor of the present settings, and how many last tokens are protected."""
        if self._latest is None or self._latest.settings != self.settings:
            self._latest = self.executor()
        return self._latest, self.config.protect

    def learn(self, tasks: Sequence[LongTask]) -> dict[tuple[int, int], float]:
        """Choose the heads that look ahead where more than 45 % is skipped (`Observation.heads`): the three best.

        Args:
            tasks: prompts whose answer stands somewhere in them, of usual lengths; other tasks are left out.
        Returns: the score of each head of the later blocks, by (block, head), the best first.
        Raises:
            InputError: for another router, and if no task's answer stands in its prompt.
        """
        if self.config.router != "observation":
            raise InputError("router", got=repr(self.config.router), expected="observation: others look at nothing")
        plain = ObservationRouter(
            dense_first(_LEARNT_AT, len(self.schedule)), replace(self.config.observation, heads=())
        )
        found = worth(Executor(self.layout, plain), tasks)
        if not found:
            raise InputError("tasks", got="no answer that stands in its prompt", expected="one at least")
        ranked = dict(sorted(found.items(), key=lambda one: -one[1]))
        best = tuple(sorted(list(ranked)[:HEADS]))
        self.config = replace(self.config, observation=replace(self.config.observation, heads=best))
        return ranked

    def set_sparsity(self, target: float) -> None:
        """Scale the schedule to another target; the router stays. While attached, it holds from the next prompt on."""
        schedule = self._scaled(checked_target(target))
        self._config, self._schedule = replace(self.config, target_sparsity=float(target)), schedule
        self.measured = None

    @contextlib.contextmanager
    def at(self, target: float | None) -> Iterator[Self]:
        """Another sparsity inside, as of `set_sparsity`; None: the present one.

        Examples:
            >>> from tokenprune import TokenPruner, tiny_model

            >>> pruner = TokenPruner(tiny_model())
            >>> with pruner.at(0.5):
            ...     pruner.config.target_sparsity
            0.5
            >>> pruner.config.target_sparsity
            0.3
        """
        before = self._config, self._schedule, self.measured
        if target is not None:
            self.set_sparsity(target)
        try:
            yield self
        finally:
            self._config, self._schedule, self.measured = before

    def _scaled(self, target: float) -> tuple[float, ...]:
        """The schedule for another target: the usual one if the present one is, else the present one's shape."""
        blocks = len(self.schedule)
        if self.schedule == self._first(self.config.target_sparsity, blocks):
            return self._first(target, blocks)
        mean = sum(self.schedule) / blocks
        shape = np.array(self.schedule) * (target / mean) if mean else np.full(blocks, target)
        return checked_schedule(project(shape, target).tolist(), blocks)

    def set_budget(self, tokens: int, prompt: int) -> None:
        """Scale the schedule so that a block keeps so many tokens of a prompt on average: a budget instead of a share.

        Args:
            tokens: to keep.
            prompt: tokens of the prompt; one that is no longer than the budget is kept whole.
        """
        if tokens < 1 or prompt < 1:
            raise InputError("budget", got=f"{tokens} tokens of {prompt}", expected="whole numbers from 1")
        self.set_sparsity(max(0.0, 1 - tokens / prompt))

    def attach(self) -> Self:
        """Prune the model's own forward and `generate` until `detach`."""
        self._attached = Attached(self.layout, self._current, self._watch)
        return self

    @property
    def attached(self) -> bool:
        """Whether the model's own forward is pruned now."""
        return self._attached is not None

    def detach(self) -> None:
        """Give the model its own forward back."""
        if self._attached is None:
            raise InputError("pruner", got="not attached", expected="attach() first")
        self._attached.remove()
        self._attached = None

    @contextlib.contextmanager
    def protecting(self, spans: Spans) -> Iterator[Self]:
        """Attached, with stretches of the prompt that every block keeps: a system prompt, the user's last turn.

        The budget is taken from the other tokens. A pruner that is attached already stays so afterwards.

        Args:
            spans: for each row, or one for all rows, (first, stop) pairs in tokens of the row from 0; see
                `datasets.chat`, which finds them.
        """
        with self._during(spans=spans):
            yield self

    @contextlib.contextmanager
    def asking(self, query: int | Sequence[int] | None) -> Iterator[Self]:
        """Attached, with the length of the question: its tokens, and those that follow it, decide what is kept.

        If it is not known, the last 64 tokens decide. At least 8 and at most 128 tokens decide.

        Args:
            query: how many last tokens of the prompt hold the question and all that follows it, for all rows or for
                each; see `datasets.query_tokens`. None: not known.

        Examples:
            >>> import torch
            >>> from tokenprune import TokenPruner, tiny_model

            >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
            >>> ids = torch.arange(1, 41)[None]
            >>> with TokenPruner(model).asking(12):  # the last twelve tokens are the question
            ...     out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, pad_token_id=0)
            >>> out.shape
            torch.Size([1, 44])
        """
        checked_query(query, 1 if query is None or isinstance(query, int) else len(query))
        with self._during(query=query):
            yield self

    @contextlib.contextmanager
    def _during(self, **settings: Any) -> Iterator[None]:
        """Attached, with these attributes of what is attached; a pruner that is attached already stays so."""
        with contextlib.nullcontext() if self.attached else self:
            held = self._attached
            assert held is not None
            before = {name: getattr(held, name) for name in settings}
            vars(held).update(settings)
            try:
                yield
            finally:
                vars(held).update(before)

    def __enter__(self) -> Self:
        return self.attach()

    def __exit__(self, *_: object) -> None:
        self.detach()

    def _watch(self, stream: Stream) -> None:
        self.last = stream
        schedule = self._current()[0].routing(stream).schedule
        for block, kept in enumerate(stream.kept):
            asked = [length - round(schedule[block] * length) for length in stream.lengths]
            if any(k > max(2, a) + 1 for k, a in zip(kept, asked, strict=True)):
                warnings.warn(
                    f"block {block} is to skip {schedule[block]:.0%} of the tokens, but more are protected: "
                    f"{kept} of {stream.lengths} were kept", stacklevel=2,
                )  # fmt: skip
                return

    @torch.no_grad()
    def report(
        self, input_ids: Tensor | Mapping[str, Tensor], attention_mask: Tensor | None = None, *, spans: Spans = (),
        query: int | Sequence[int] | None = None,
    ) -> Report:  # fmt: skip
        """Run a prompt, ids and mask or a tokenizer's batch of both, and say what each block kept, at what cost.

        `spans` as of `protecting`, `query` as of `asking`.
        """
        if isinstance(input_ids, Mapping):
            input_ids, attention_mask = input_ids["input_ids"], input_ids.get("attention_mask")
        executor, protect = self.executor(), self.config.protect
        if spans:
            real = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask != 0
            protect = kept_whole(real.cpu(), protect, spans)
        asked = checked_query(query, len(input_ids))
        stream = executor.start(input_ids, attention_mask, protect=protect, query=asked, record=True)
        executor.prefill(stream, None if executor.shrink is None else PrunedCache(executor.blocks))
        return Report.of(executor, stream)

    @torch.no_grad()
    def measure(self, data: Scored) -> float:
        """Share of (token, block) pairs skipped on these sequences: what `save_pretrained` says was achieved."""
        executor, kept, tokens = self.executor(), 0, 0
        for item in range(len(data)):
            stream = executor.prefill(data.part(item, item + 1).start(executor))
            kept += sum(map(sum, stream.kept))
            tokens += sum(stream.lengths)
        self.measured = 1 - kept / (tokens * executor.blocks)
        return self.measured

    @property
    def achieved_sparsity(self) -> float:
        """Share of a prompt's (token, block) pairs skipped: as measured, else as the schedule has it."""
        return sum(self.schedule) / len(self.schedule) if self.measured is None else self.measured

    def cost(self, lengths: Sequence[int], *, query: int | None = None) -> Cost:
        """Of prompts of these lengths, when the budget is met exactly; `query` as of `asking`."""
        return planned_cost(self.executor(), self.config, lengths, query=query)

    def save_pretrained(self, folder: str | Path, *, force: bool = False) -> None:
        """Write the pruner's folder: ftp_config.json, router.safetensors, search_history.jsonl, metrics.json.

        The sparsity that it states is the one that was measured (`measure`), else that of the schedule.
        """
        about = {"config": self.config.to_dict(), "schedule": list(self.schedule), "base": base_of(self.layout),
                 "achieved_sparsity": self.achieved_sparsity, "measured_sparsity": self.measured}  # fmt: skip
        net = {} if self.net is None else dict(self.net.state_dict())
        _files.write(Path(folder), about, net, self.history, self.metrics, force=force)

    @classmethod
    def from_pretrained(cls, folder: str | Path, model: nn.Module) -> Self:
        """Read a pruner's folder, for the model it was made for.

        The same model cast or quantised has other weights: it is taken, with a warning.

        Raises:
            ArtifactError: if the folder is damaged, or was made for another model.
        """
        path = Path(folder)
        return cls.of_parts(_files.read(path, cls.kind), model, path / _files.CONFIG)

    @classmethod
    def of_parts(cls, parts: _files.Parts, model: nn.Module, path: Path = Path(_files.CONFIG)) -> Self:
        """As `from_pretrained`, of what was read already; `path` is for the messages."""
        about, net, history, metrics = parts
        check_base(about["base"], model, path)
        try:
            pruner = cls(model, cls.kind(**about["config"]), about["schedule"])
        except InputError as error:  # heads that the model has not
            raise ArtifactError(path, f"is not a pruner's: {error}") from None
        pruner.measured = about.get("measured_sparsity")
        fits = {} if pruner.net is None else {name: one.shape for name, one in pruner.net.state_dict().items()}
        if {name: one.shape for name, one in net.items()} != fits:
            what = f"{path.name}'s router, {pruner.config.router}"
            raise ArtifactError(path.with_name(_files.ROUTER), f"is not the net of {what}")
        if pruner.net is not None:
            pruner.net.load_state_dict(net)
        pruner.history, pruner.metrics = history, metrics
        return pruner
