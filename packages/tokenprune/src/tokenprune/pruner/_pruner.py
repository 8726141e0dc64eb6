"""The pruner: a frozen model, a schedule, a router; search, train, refine, attach, save."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.errors import ArtifactError, InputError
from torch import Tensor, nn

import tokenprune.search._processes as processes
from tokenprune.executor._attach import Attached, Spans, spans_mask
from tokenprune.executor._cache import PrunedCache
from tokenprune.executor._cost import Cost
from tokenprune.executor._executor import Executor
from tokenprune.executor._probe import probe
from tokenprune.executor._scored import Scored
from tokenprune.executor._stream import Stream
from tokenprune.models._layout import Layout
from tokenprune.pruner import _files
from tokenprune.pruner._base_model import base_of, check_base
from tokenprune.pruner._config import FTPConfig
from tokenprune.pruner._report import Report, planned_cost
from tokenprune.pruner._routers import learnt, new_net, observes, untrained
from tokenprune.pruner._starts import BestStart, checked_starts
from tokenprune.routers._learnt_router import LearntRouter
from tokenprune.routers._observation_router import cache_choice
from tokenprune.routers._schedule import checked_schedule, checked_target, dense_first, dense_firsts, project, uniform
from tokenprune.routers._static_router import StaticRouter
from tokenprune.search._analyze import Redundancy, redundancy
from tokenprune.search._fitness import Fitness, Kind
from tokenprune.search._genetic import Search, SearchConfig, alone_schedules
from tokenprune.training._train import LR_OBSERVING, Teacher, TrainConfig, Training

Advance = Callable[[], object]
SEEN = 8  # sequences of a stage on which the sparsity of a folder is measured


class TokenPruner:
    """Skips unimportant tokens of a frozen causal language model, block by block.

    Args:
        model: a transformers causal language model; its weights are read only.
        config: see `FTPConfig`.
        schedule: sparsity of each block; until it is searched, that of `dense_first` for the observation router and
            learnt ones that start as it, uniform for others.

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

    def __init__(
        self, model: nn.Module, config: FTPConfig | None = None, schedule: Sequence[float] | None = None
    ) -> None:
        self.layout = Layout.of(model)
        self.config = config or FTPConfig()
        probe(self.layout)
        blocks = len(self.layout.blocks)
        self.schedule = checked_schedule(
            self._unsearched(self.config.target_sparsity, blocks) if schedule is None else schedule, blocks
        )
        self.net = new_net(self.config, self.layout)
        self.history: list[dict[str, Any]] = []
        self.metrics: dict[str, Any] = {}
        self.measured: float | None = None
        self.seen: Scored | None = None  # some of the sequences of the last stage
        self.last: Stream | None = None
        self._attached: Attached | None = None

    @property
    def observing(self) -> bool:
        """Whether the router, learnt or not, reads an observation window."""
        return observes(self.config)

    def _unsearched(self, target: float, blocks: int) -> tuple[float, ...]:
        return dense_first(target, blocks) if self.observing else uniform(target, blocks)

    def router(self, schedule: Sequence[float] | None = None) -> StaticRouter:
        """The router of a schedule, this pruner's own if none is given."""
        schedule = self.schedule if schedule is None else schedule
        return untrained(self.config, schedule) if self.net is None else learnt(self.config, schedule, self.net)

    def as_it_comes(self) -> StaticRouter:
        """The router before any stage: without a net, under the schedule that needs no search, of this one's mean."""
        blocks = len(self.schedule)
        return untrained(self.config, self._unsearched(sum(self.schedule) / blocks, blocks))

    def executor(self) -> Executor:
        """The model's blocks under this pruner's router."""
        tokens = self.config.cache_tokens
        shrink = None if tokens is None else cache_choice(tokens, self.config.observation)
        return Executor(self.layout, self.router(), shrink)

    def analyze(self, data: Scored) -> Redundancy:
        """How little each block of the dense model changes the stream."""
        return redundancy(self.layout, data)

    def searching(self, data: Scored, config: SearchConfig | None = None, *, fitness: Kind = "kl",
                  refine: bool = False, state: dict[str, Any] | None = None) -> tuple[Search, Fitness]:  # fmt: skip
        """The search of stage 1 (a router without a net), or of stage 3 (`refine`: own router, from its schedule)."""
        self.seen = data.part(0, SEEN)
        judge = self._judge(data, fitness, refine)
        config = config or SearchConfig()
        if refine:
            config = replace(config, generations=max(1, config.generations // 2), moves=1, alone=False)
        influence = processes.shared(lambda: self.analyze(data).influence.numpy())  # processes must agree to the bit
        ask = config.alone and state is None and not self.observing  # its seeds that begin with dense blocks are nearer
        alone = judge(alone_schedules(len(self.schedule), data.highest)) if ask else ()
        search = Search(
            self.config.target_sparsity, influence, highest=data.highest, seed=self.config.seed + refine,
            config=config, alone=alone, around=self.schedule if refine else None, first=self._first(data.highest),
            state=state,
        )  # fmt: skip
        return search, judge

    def _first(self, highest: float) -> list[tuple[float, ...]]:
        """Schedules for the search to start from, beside those that it makes itself."""
        if not self.observing:
            return []
        found = dense_firsts(self.config.target_sparsity, len(self.schedule))
        return [one for one in found if max(one) <= highest]

    def _judge(self, data: Scored, fitness: Kind, refine: bool) -> Fitness:
        def without_net(schedule: Sequence[float]) -> StaticRouter:
            return untrained(self.config, schedule, score_all=True)

        own = refine and self.net is not None
        return Fitness(self.layout, data, self.router if own else without_net, kind=fitness)

    def search(
        self, calibration: Scored, config: SearchConfig | None = None, *, fitness: Kind = "kl",
        validation: Scored | None = None, advance: Advance = lambda: None,
    ) -> None:  # fmt: skip
        """Stage 1: search a schedule for a router without a net: the one that training starts as, or the static one.

        Args:
            calibration: what schedules are judged on.
            config: sizes.
            fitness: see `Fitness`.
            validation: other sequences: the schedule that the pruner comes with stays unless the best of a generation
                is better there by more than a standard error, since a search on little text fits that text.
            advance: is called after each generation.
        """
        search, judge = self.searching(calibration, config, fitness=fitness)
        self._finish(search, judge, validation, False, advance)

    def refine(
        self, calibration: Scored, config: SearchConfig | None = None, *, fitness: Kind = "kl",
        validation: Scored | None = None, advance: Advance = lambda: None,
    ) -> None:  # fmt: skip
        """Stage 3: search again from the present schedule with the trained router; arguments as of `search`.

        With `validation` the present schedule stays unless one of the others is better there, as in `search`.
        """
        search, judge = self.searching(calibration, config, fitness=fitness, refine=True)
        self._finish(search, judge, validation, True, advance)

    def _finish(
        self, search: Search, judge: Fitness, validation: Scored | None, refine: bool, advance: Advance
    ) -> None:  # fmt: skip
        while not search.done:
            search.advance(judge)
            advance()
        self.adopt(search, validation, fitness=judge.kind, refine=refine)

    def adopt(
        self, search: Search, validation: Scored | None = None, *, fitness: Kind = "kl", refine: bool = False
    ) -> None:  # fmt: skip
        """Take a search's history and its best schedule, or with `validation` what `Fitness.choose` takes: what it
        comes with (in stage 3 what it started from), unless the best of a generation is better there."""
        self.history += search.history
        self.measured = None
        if validation is None:
            self.schedule = search.best
            return
        flat = self._unsearched(self.config.target_sparsity, len(self.schedule))
        start = [tuple(self.schedule)] if refine else []
        candidates = list(dict.fromkeys([*start, flat, *(tuple(line["schedule"]) for line in search.history)]))
        judge = self._judge(validation, fitness, refine)
        self.schedule = judge.choose(candidates)
        self.metrics["refine validated" if refine else "search validated"] = judge.memo[self.schedule]

    def restart(self, start: str) -> None:
        """Put a net before training in the place of the present one; the observation router becomes a dynamic one."""
        scores = "observation" if self.config.router == "observation" else self.config.scores
        router = "dynamic" if self.config.router == "observation" else self.config.router
        self.config = replace(self.config, router=router, scores=scores, router_start=start)
        self.net, self.measured = new_net(self.config, self.layout), None

    def training(
        self, texts: Scored, config: TrainConfig | None = None, teacher: Teacher | None = None,
        validation: Scored | None = None,
    ) -> Training:  # fmt: skip
        """Stage 2 under way: router training; see `Training` for the arguments.

        The observation router becomes a dynamic one that starts by keeping the same tokens.
        """
        if self.config.router == "observation":
            self.restart("observation")
        router = self.router()
        if not isinstance(router, LearntRouter):
            raise InputError("router", got="static", expected="another: the static router learns nothing")
        if config is None:  # a guide to the static rule, and other gates than inference's, lead away from the window
            config = TrainConfig(guide=0.0, losses_on="inference") if self.observing else TrainConfig()
        if config.lr is None and self.observing and self.config.router_start == "observation":
            config = replace(config, lr=LR_OBSERVING)
        self.seen = texts.part(0, SEEN)
        return Training(self.layout, router, texts, config, self.config.seed, teacher, validation)

    def fit_router(
        self, texts: Scored, config: TrainConfig | None = None, *, validation: Scored | None = None,
        teacher: Teacher | None = None, starts: Sequence[str] = (), advance: Advance = lambda: None,
    ) -> None:  # fmt: skip
        """Stage 2: train the router.

        Args:
            texts: what it learns from.
            config: sizes.
            validation: other sequences; of the steps looked at, the start included, the best there is taken.
            teacher: the dense model on `texts`, if another training has one.
            starts: train from each of these (`FTPConfig.router_start`) and take what is best on `validation`; left out,
                go on from the present router.
            advance: is called after each step.
        """
        best = BestStart(self)
        for start in checked_starts(starts, validation):
            training = best.training(start, texts, config, teacher, validation)
            while not training.done:
                self.metrics["train"] = training.step()
                advance()
            best.offer(start, training)
        best.take()

    def set_sparsity(self, target: float) -> None:
        """Scale the schedule to another target; the router stays."""
        target, self.measured = checked_target(target), None
        blocks = len(self.schedule)
        if self.observing and self.schedule == dense_first(self.config.target_sparsity, blocks):
            self.config, self.schedule = replace(self.config, target_sparsity=target), dense_first(target, blocks)
            return
        mean = sum(self.schedule) / len(self.schedule)
        shape = (
            np.array(self.schedule) * (target / mean if mean else 0) if mean else np.full(len(self.schedule), target)
        )
        self.config = replace(self.config, target_sparsity=target)
        self.schedule = checked_schedule(project(shape, target).tolist(), len(self.schedule))

    def set_budget(self, tokens: int, prompt: int) -> None:
        """Scale the schedule so that a block keeps so many tokens of a prompt on average: a budget in place of a share.

        Args:
            tokens: to keep.
            prompt: tokens of the prompt; one that is no longer than the budget is kept whole.
        """
        if tokens < 1 or prompt < 1:
            raise InputError("budget", got=f"{tokens} tokens of {prompt}", expected="whole numbers from 1")
        self.set_sparsity(max(0.0, 1 - tokens / prompt))

    def attach(self) -> TokenPruner:
        """Prune the model's own forward and `generate` until `detach`."""
        self._attached = Attached(self.executor(), self.config.protect, self._watch)
        return self

    def detach(self) -> None:
        """Give the model its own forward back."""
        if self._attached is None:
            raise InputError("pruner", got="not attached", expected="attach() first")
        self._attached.remove()
        self._attached = None

    @contextlib.contextmanager
    def protecting(self, spans: Spans) -> Iterator[TokenPruner]:
        """Attached, with stretches of the prompt that every block keeps: a system prompt, the user's last turn.

        The budget is taken from the other tokens.

        Args:
            spans: for each row, or one for all rows, (first, stop) pairs in tokens of the row from 0; see
                `datasets.chat`, which finds them.
        """
        with self:
            assert self._attached is not None
            self._attached.spans = spans
            yield self

    def __enter__(self) -> TokenPruner:
        return self.attach()

    def __exit__(self, *_: object) -> None:
        self.detach()

    def _watch(self, stream: Stream) -> None:
        self.last = stream
        for block, (kept, _) in enumerate(stream.kept):
            asked = [length - round(self.schedule[block] * length) for length in stream.lengths]
            if self.config.decode != "strict" and any(k > max(2, a) + 1 for k, a in zip(kept, asked, strict=True)):
                if self.config.gate == "argmax":
                    return
                warnings.warn(
                    f"block {block} is to skip {self.schedule[block]:.0%} of the tokens, but more are protected: "
                    f"{kept} of {stream.lengths} were kept", stacklevel=2,
                )  # fmt: skip
                return

    @torch.no_grad()
    def report(
        self, input_ids: Tensor | Mapping[str, Tensor], attention_mask: Tensor | None = None, *, spans: Spans = ()
    ) -> Report:  # fmt: skip
        """Run a prompt, ids and mask or a tokenizer's batch of both, and say what each block kept, at what cost.

        `spans` as of `protecting`.
        """
        if isinstance(input_ids, Mapping):
            input_ids, attention_mask = input_ids["input_ids"], input_ids.get("attention_mask")
        executor, protect = self.executor(), self.config.protect
        if spans:
            real = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask != 0
            real = real.cpu()
            protect = spans_mask(spans, real) | (real & (real.flip(1).cumsum(1).flip(1) <= protect))
        stream = executor.start(input_ids, attention_mask, protect=protect, record=True)
        executor.prefill(stream, None if executor.shrink is None else PrunedCache(executor.blocks))
        return Report.of(executor, stream, self.schedule)

    @torch.no_grad()
    def measure(self, data: Scored) -> float:
        """Share of (token, block) pairs skipped on these sequences: what `save_pretrained` says was achieved."""
        executor, kept, tokens = self.executor(), 0, 0
        for item in range(len(data)):
            stream = executor.prefill(data.part(item, item + 1).start(executor))
            kept += sum(sum(attention) for attention, _ in stream.kept)
            tokens += sum(stream.lengths)
        self.measured = 1 - kept / (tokens * executor.blocks)
        return self.measured

    @property
    def achieved_sparsity(self) -> float | None:
        """Share of a prompt's (token, block) pairs skipped: as measured, else as the settings imply; None if they
        leave it open (`gate="argmax"`)."""
        if self.measured is not None:
            return self.measured
        if self.config.decode == "strict":  # a prompt's token skips what a new one does
            router = self.router()
            return sum(router.skips_new(block) for block in range(len(self.schedule))) / len(self.schedule)
        return sum(self.schedule) / len(self.schedule) if self.router().exact else None

    def cost(self, lengths: Sequence[int]) -> Cost:
        """Of prompts of these lengths, when the budget is met exactly."""
        return planned_cost(self.executor(), self.config, self.schedule, lengths)

    def save_pretrained(self, folder: str | Path, *, force: bool = False) -> None:
        """Write the pruner's folder: ftp_config.json, router.safetensors, search_history.jsonl, metrics.json.

        The sparsity that it states is measured, on the sequences that the last stage saw, unless `measure` was called;
        where no stage has run, it is what the settings imply.
        """
        if self.measured is None and self.seen is not None:
            self.measure(self.seen)
        about = {
            "config": self.config.to_dict(),
            "schedule": list(self.schedule),
            "achieved_sparsity": self.achieved_sparsity,
            "measured_sparsity": self.measured,
            "base": base_of(self.layout),
        }
        net = {} if self.net is None else dict(self.net.state_dict())
        _files.write(Path(folder), about, net, self.history, self.metrics, force=force)

    @classmethod
    def from_pretrained(cls, folder: str | Path, model: nn.Module) -> TokenPruner:
        """Read a pruner's folder, for the model it was made for.

        The same model cast or quantised has other weights: it is taken, with a warning.

        Raises:
            ArtifactError: if the folder is damaged, or was made for another model.
        """
        path = Path(folder)
        return cls.of_parts(_files.read(path), model, path / _files.CONFIG)

    @classmethod
    def of_parts(cls, parts: _files.Parts, model: nn.Module, path: Path = Path(_files.CONFIG)) -> TokenPruner:
        """As `from_pretrained`, of what was read already; `path` is for the messages."""
        about, net, history, metrics = parts
        check_base(about["base"], model, path)
        pruner = cls(model, FTPConfig(**about["config"]), about["schedule"])
        pruner.measured = about.get("measured_sparsity")
        fits = {} if pruner.net is None else {name: one.shape for name, one in pruner.net.state_dict().items()}
        if {name: one.shape for name, one in net.items()} != fits:
            what = f"{path.name}'s router, {pruner.config.router} of width {pruner.config.hidden}"
            raise ArtifactError(path.with_name(_files.ROUTER), f"is not the net of {what}")
        if pruner.net is not None:
            pruner.net.load_state_dict(net)
        pruner.history, pruner.metrics = history, metrics
        return pruner
