"""A study: a table and the knowledge in addition to it in, a report out."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError, InputError, version_of
from ninefold.files import digest_file, write_text
from ninefold.run import Run
from threadpoolctl import threadpool_limits

from proteus.data._data import ProteomicsData, same_table
from proteus.knowledge._assay import assay_of
from proteus.knowledge._describe import at_the_door, describe
from proteus.knowledge._network import Network
from proteus.knowledge._private import without_names
from proteus.planning._asking import Asking
from proteus.planning._expert import ExpertPlanner
from proteus.record._documents import write_documents
from proteus.record._journal import Journal
from proteus.record._ledger import Ledger, MemoryLog
from proteus.record._objects import Asked, Budget, DatasetProfile, Finding, Hypothesis, Settings
from proteus.record._planner import Planner
from proteus.record._run_folder import Folder
from proteus.record._store import Store
from proteus.study._answer import Answer
from proteus.study._conclusions import Conclusions
from proteus.study._engine import Engine
from proteus.study._gate import fill
from proteus.study._grading import Verdict
from proteus.study._replicated import predicted
from proteus.tools._context import Context
from proteus.tools._registry import tools


@dataclass(frozen=True)
class Report:
    """What a study found.

    Attributes:
        hypotheses: ranked, graded, each number a reference; `joined` has those that join several results.
        statements: their text with numbers in.
        answers: objectives with workflows, results, refinements.
        verdicts: families under the run-wide control.
        fallbacks: roles that the expert answered for another planner.
        stopped: what budget ran out, or None.
        recalled: answers and steps taken from an interrupted run.
        refused: proposals that the gate did not let through.
        replies: the user's questions, each with its answer in sentences.
        not_asked: contrasts of the factors asked about that no objective is about.
        path: the run's folder, if it has one.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> import proteus
        >>> values = np.random.default_rng(0).normal(25, 0.2, (60, 8))
        >>> values[0, ::2] += 3
        >>> sheet = pd.DataFrame({"group": ["AD", "control"] * 4}, index=[f"s{k}" for k in range(8)])
        >>> data = proteus.from_matrix(values, [f"P{k}" for k in range(60)], sheet)
        >>> report = proteus.Study(data).run(proteus.Budget(objectives=1))
        >>> len(report.graded("B")), report.stopped is None
        (1, True)
    """

    profile: DatasetProfile
    hypotheses: list[Hypothesis]
    statements: list[str]
    answers: list[Answer]
    verdicts: list[Verdict]
    planner: str
    fallbacks: list[str] = field(default_factory=list)
    stopped: str | None = None
    recalled: int = 0
    path: Path | None = None
    refused: int = 0
    replies: list[tuple[str, list[str]]] = field(default_factory=list)
    not_asked: list[str] = field(default_factory=list)
    predicted: tuple[str, float] | None = None

    @property
    def findings(self) -> list[Finding]:
        """Edges of the evidence graph."""
        return [one for answer in self.answers for one in answer.findings()]

    @property
    def refinements(self) -> list[dict[str, Any]]:
        """Each with objective, reason, trigger and how the hit list changed."""
        return [one for answer in self.answers for one in answer.refinements]

    @property
    def joined(self) -> list[Hypothesis]:
        """Hypotheses that join several results; the others are single results."""
        return [one for one in self.hypotheses if one.joined]

    def firm(self) -> list[Hypothesis]:
        """Hypotheses that pass the error control over the run and the sensitivity refits, whatever cohorts say."""
        return [one for one in self.hypotheses if one.firm]

    def graded(self, grade: str) -> list[Hypothesis]:
        """Hypotheses of one grade."""
        return [one for one in self.hypotheses if one.grade == grade]


class Study:
    """A table, and what is known in addition to it.

    Args:
        data: as `load` returns it; normalisation is the workflows' part.
        planner: `expert`, or a Planner.
        sets, network: for pathway and network objectives.
        markers: cytometry, marker to `type` or `state`; rules: cell type to its marker rules.
        assay: kind of assay (pull-down, plasma, CSF, ...) that alternatives and experiments fit; None: from the table.

    Examples:
        >>> import numpy as np, pandas as pd, proteus
        >>> values = np.random.default_rng(0).normal(25, 0.2, (60, 8))
        >>> values[0, ::2] += 3
        >>> sheet = pd.DataFrame({"group": ["AD", "control"] * 4}, index=[f"s{k}" for k in range(8)])
        >>> data = proteus.from_matrix(values, [f"P{k}" for k in range(60)], sheet)
        >>> report = proteus.Study(data).run(proteus.Budget(objectives=1))
        >>> report.statements[0][:34]
        'P0 is higher in AD than in control'
    """

    def __init__(
        self,
        data: ProteomicsData,
        planner: Planner | str = "expert",
        *,
        sets: Mapping[str, Sequence[str]] | None = None,
        network: Network | None = None,
        markers: Mapping[str, str] | None = None,
        rules: Mapping[str, Mapping[str, str]] | None = None,
        assay: str | None = None,
    ) -> None:
        if isinstance(planner, str):
            if planner != "expert":
                raise InputError("planner", got=repr(planner), expected="'expert' or a Planner")
            planner = ExpertPlanner()
        if data.shape[0] == 0 or data.shape[1] == 0:
            raise InputError("table", got=f"{data.shape[0]} features, {data.shape[1]} samples", expected="some of both")
        self.data, self.planner = at_the_door(data), planner
        self.assay = None if assay is None else assay_of(data, assay)
        self.sets, self.network, self.markers, self.rules = sets, network, dict(markers or {}), dict(rules or {})

    def run(
        self, budget: Budget | None = None, seed: int = 0, *, out: str | Path | None = None, resume: bool = False,
        asked: Asked | None = None, settings: Settings | None = None,
        advance: Callable[[str], object] = lambda _: None,
    ) -> Report:  # fmt: skip
        """Objectives, workflows, steps, refinements, hypotheses.

        Args:
            budget: limits; None: the defaults of `Budget`.
            seed: of every draw.
            out: the run's folder; None keeps nothing.
            resume: continue with an interrupted run in `out`; finished steps and answers are taken from it.
            asked: the user's own question, contrast, design and fold bar; answered first. Those of `settings` else.
            settings: column of cohorts, switches; None: the defaults of `Settings`.
            advance: called with each finished objective's id.
        Raises:
            InputError, ArtifactError: on settings that differ from the interrupted run's, or a folder in the way.
        """
        budget, settings = budget or Budget(), settings or Settings()
        settings = settings if asked is None else settings.model_copy(update={"asked": asked})
        folder = None if out is None else Folder(Path(out))
        begun = folder is not None and folder.events.exists()
        if folder is not None and begun and not resume:
            raise ArtifactError(folder.root, "holds a run already; --resume goes on with it, or choose another place")
        if folder is None:
            return self._run(budget, seed, None, Ledger(MemoryLog()), settings, advance)
        config = {
            "proteus": version_of("proteus"), "planner": self.planner.name, "seed": seed,
            "budget": budget.model_dump(), "features": self.data.shape[0], "samples": self.data.shape[1],
            **settings.kept(),
        }  # fmt: skip
        with Run(folder.root, config):
            self.keep_input(folder)
            return self._run(budget, seed, folder, Ledger(Journal(folder.events)), settings, advance)

    def keep_input(self, folder: Folder) -> None:
        """The table and the knowledge, as they were loaded; a resumed run must bring the same."""
        about = folder.knowledge
        knowledge = {
            "sets": {key: list(value) for key, value in self.sets.items()} if self.sets else None,
            "network": [[self.network.nodes[a], self.network.nodes[b]] for a, b in self.network.edges]
            if self.network
            else None,
            "markers": self.markers,
            "rules": {key: dict(value) for key, value in self.rules.items()},
            "assay": self.assay,
        }
        text = json.dumps(knowledge) + "\n"
        if about.exists():
            kept = ProteomicsData.open(folder.table)
            if not same_table(kept, self.data) or about.read_text(encoding="utf-8") != text:
                raise InputError(f"run {folder.root}", got="another table or other knowledge than it was begun with")
            return
        self.data.save(folder.table, force=True)
        write_text(about, text)

    def context(self, seed: int = 0, *, named: bool = False) -> Context:
        """What tools work on: the table with its profile, and the knowledge in addition to it.

        Args:
            seed: random seed of every draw.
            named: keep names of persons, which have codes otherwise.
        """
        known = {"sets": self.sets is not None, "network": self.network is not None, "markers": self.markers}
        data = self.data if named else without_names(self.data)
        profile = describe(data, **known).model_copy(update={"assay": assay_of(data, self.assay)})
        return Context(data, profile, self.sets, self.network, self.markers, self.rules, seed)

    @threadpool_limits.wrap(limits=1, user_api="blas")  # sums in one order: the same bytes on any number of cores
    def _run(
        self, budget: Budget, seed: int, folder: Folder | None, ledger: Ledger, settings: Settings,
        advance: Callable[[str], object],
    ) -> Report:  # fmt: skip
        context = self.context(seed)
        profile = context.profile
        if settings.cohort is not None:
            self.data.factor(settings.cohort)
        ledger.note(
            "run", seed=seed, budget=budget.model_dump(), profile=profile.model_dump(mode="json"),
            planner=self.planner.name, tools=list(tools()), version=version_of("proteus"),
            **({} if folder is None else {"input": _given(folder)}),
        )  # fmt: skip
        asking, store = Asking(self.planner, ledger), Store(folder)
        engine = Engine(context, asking, store, ledger, budget, settings, advance=advance)
        engine.run()
        conclusions = Conclusions(
            engine.answers, context, asking, store, ledger, budget, gate=settings.gate, cohort=settings.cohort,
        )  # fmt: skip
        verdicts = conclusions.judge()
        for answer in engine.answers:
            conclusions.reply(answer)
        hypotheses = conclusions.hypotheses(verdicts)
        alone = settings.cohort is None and folder is not None  # for the page
        again = predicted(engine.answers, context, store, ledger) if alone else None
        statements = [fill(one.statement, one.numbers, store.load) for one in hypotheses]
        digests = {}
        if folder is not None:
            findings = [one for answer in engine.answers for one in answer.findings()]
            write_documents(folder.graph, "graph", findings)
            write_documents(folder.hypotheses, "hypotheses", hypotheses)
            digests = {one.name: digest_file(one) for one in (folder.graph, folder.hypotheses)}
        ledger.note(
            "finish", hypotheses=len(hypotheses), refinements=sum(len(one.refinements) for one in engine.answers),
            stopped=engine.stopped, fallbacks=asking.fallbacks, digests=digests,
            **({"calls": records} if (records := self.planner.records()) else {}),
        )  # fmt: skip
        return Report(
            profile, hypotheses, statements, engine.answers, verdicts, self.planner.name, asking.fallbacks,
            engine.stopped, ledger.recalled, folder.root if folder else None, conclusions.refused,
            [(one.objective.question, conclusions.lines(one)) for one in engine.answers if one.reply],
            engine.not_asked([one.objective for one in engine.answers]), again,
        )  # fmt: skip


def _given(folder: Folder) -> dict[str, str]:
    """Digests of the input, for `verify`; the table's own file holds those of its parts."""
    names = ("table/proteus.json", "knowledge.json")
    return {name: digest_file(folder.input / name) for name in names}


def open_study(path: str | Path, planner: Planner | str = "expert") -> Study:
    """The study whose input a run's folder keeps."""
    folder = Folder(Path(path))
    about = folder.knowledge
    if not about.is_file():
        raise ArtifactError(about, "is missing: this is no run of proteus")
    knowledge = json.loads(about.read_text(encoding="utf-8"))
    pairs = knowledge["network"]
    network = Network.from_pairs([a for a, _ in pairs], [b for _, b in pairs]) if pairs else None
    return Study(
        ProteomicsData.open(folder.table), planner, sets=knowledge["sets"], network=network,
        markers=knowledge["markers"], rules=knowledge["rules"], assay=knowledge.get("assay"),
    )  # fmt: skip
