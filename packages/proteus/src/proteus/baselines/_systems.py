"""Rival systems: the same tools, table and budget, planned otherwise.

Each returns the hypotheses that it would print. All of them test by the default test; they differ in what is asked, in
what results may change, and in what is believed.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from proteus.planning._expert import ExpertPlanner, drafts
from proteus.planning._templates import PLANS, main_factors
from proteus.record._objects import Budget, Hypothesis, Objective, Step
from proteus.record._planner import Objectives, Plan, PlanWorkflow, ProposeObjectives, Question
from proteus.simulation._simulate import Simulation
from proteus.study._study import Study


@dataclass(frozen=True)
class System(ABC):
    """A way from a table to hypotheses."""

    name: ClassVar[str]

    @abstractmethod
    def hypotheses(self, simulation: Simulation, budget: Budget, seed: int) -> list[Hypothesis]:
        """What it prints for a table, with sets and network at hand."""


def study(simulation: Simulation, planner: ExpertPlanner | None = None) -> Study:
    """A study of a simulated table and its knowledge."""
    return Study(simulation.data, planner or ExpertPlanner(), sets=simulation.sets, network=simulation.network)


@dataclass(frozen=True)
class Ours(System):
    """Objectives, refined workflows, run-wide control, gate. Grade C is printed as description, not as hypothesis."""

    name: ClassVar = "proteus"

    def hypotheses(self, simulation: Simulation, budget: Budget, seed: int) -> list[Hypothesis]:
        """See `System.hypotheses`."""
        return study(simulation).run(budget, seed).hypotheses


@dataclass(frozen=True)
class NoRefinement(System):
    """Ours, but no result changes a workflow."""

    name: ClassVar = "no refinement"

    def hypotheses(self, simulation: Simulation, budget: Budget, seed: int) -> list[Hypothesis]:
        """See `System.hypotheses`."""
        return study(simulation).run(budget, seed, refine=False).hypotheses


@dataclass(frozen=True)
class NoGate(System):
    """Ours, but no hypothesis is checked."""

    name: ClassVar = "no gate"

    def hypotheses(self, simulation: Simulation, budget: Budget, seed: int) -> list[Hypothesis]:
        """See `System.hypotheses`."""
        return study(simulation).run(budget, seed, gate=False).hypotheses


class _RandomPlanner(ExpertPlanner):
    """Draws objectives instead of choosing them."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._rng = np.random.default_rng(seed)

    def ask(self, question: Question):
        """See `Planner.ask`."""
        found = super().ask(question)
        if isinstance(question, ProposeObjectives):
            everything = super().ask(question.model_copy(update={"limit": 12}))
            assert isinstance(everything, Objectives)
            count = max(1, min(len(everything.objectives), question.limit) // 2)
            chosen = self._rng.choice(len(everything.objectives), count, replace=False)
            return Objectives(objectives=[everything.objectives[int(one)] for one in chosen])
        return found


@dataclass(frozen=True)
class RandomObjectives(System):
    """Ours with half the objectives, drawn at random."""

    name: ClassVar = "random objectives"

    def hypotheses(self, simulation: Simulation, budget: Budget, seed: int) -> list[Hypothesis]:
        """See `System.hypotheses`."""
        return study(simulation, _RandomPlanner(seed)).run(budget, seed).hypotheses


class _SingleShot(ExpertPlanner):
    """One plan for everything: the main contrast, then sets and network, in one workflow."""

    def ask(self, question: Question):
        """See `Planner.ask`."""
        if isinstance(question, ProposeObjectives):
            found = super().ask(question)
            assert isinstance(found, Objectives)
            return Objectives(objectives=[one for one in found.objectives if one.contrast][:1])
        if isinstance(question, PlanWorkflow) and question.objective.contrast:
            steps = PLANS["group_contrast"](question.objective, {})
            return Plan(steps=[*steps, *_knowledge_steps(question, "S2", 4)])
        return super().ask(question)


def _knowledge_steps(question: PlanWorkflow, source: str, first: int) -> list[Step]:
    tools = [("sets", "enrichment"), ("network", "network_modules")]
    wanted = [tool for name, tool in tools if name in question.profile.knowledge]
    return [Step(id=f"S{first + place}", tool=tool, inputs=[source]) for place, tool in enumerate(wanted)]


@dataclass(frozen=True)
class SingleShot(System):
    """One question, one plan, no second look."""

    name: ClassVar = "single shot"

    def hypotheses(self, simulation: Simulation, budget: Budget, seed: int) -> list[Hypothesis]:
        """See `System.hypotheses`."""
        return study(simulation, _SingleShot()).run(budget, seed, refine=False).hypotheses


class _Flat(ExpertPlanner):
    """One loop over factors: test, enrich, network, survival, next; nothing is asked of the design."""

    def ask(self, question: Question):
        """See `Planner.ask`."""
        if isinstance(question, ProposeObjectives):
            return Objectives(objectives=_flat_objectives(question))
        if isinstance(question, PlanWorkflow) and question.objective.contrast:
            params = {"design": question.objective.design, "contrast": question.objective.contrast}
            steps = [Step(id="S1", tool="contrast", params=params)]
            return Plan(steps=[*steps, *_knowledge_steps(question, "S1", 2)])
        return super().ask(question)


def _flat_objectives(question: ProposeObjectives) -> list[Objective]:
    asked = ("group_contrast", "survival", "subtype")
    usable = [one for one in drafts(question.profile) if one.template in asked and one.priority > 2]  # none aliased
    chosen = usable[: question.limit]
    return [
        Objective(id=f"O{place}", template=one.template, question=one.question, design=one.design,
                  contrast=one.contrast, outcome=list(one.outcome), priority=-place)
        for place, one in enumerate(chosen, 1)
    ]  # fmt: skip


@dataclass(frozen=True)
class FlatLoop(System):
    """A flat ReAct loop: act, look, act; every family on its own, every hit believed."""

    name: ClassVar = "flat loop"

    def hypotheses(self, simulation: Simulation, budget: Budget, seed: int) -> list[Hypothesis]:
        """See `System.hypotheses`."""
        return study(simulation, _Flat()).run(budget, seed, refine=False).hypotheses


class _Pipeline(ExpertPlanner):
    """Contrast of the first factor, over-representation of its hits."""

    def ask(self, question: Question):
        """See `Planner.ask`."""
        if isinstance(question, ProposeObjectives):
            found = super().ask(question)
            assert isinstance(found, Objectives)
            first = main_factors(question.profile)[0].name
            chosen = [one for one in found.objectives if one.contrast and (one.design or "").endswith(first)]
            return Objectives(objectives=chosen[:1])
        if isinstance(question, PlanWorkflow):
            params = {"design": question.objective.design, "contrast": question.objective.contrast}
            steps = [Step(id="S1", tool="contrast", params=params)]
            if "sets" in question.profile.knowledge:
                steps.append(Step(id="S2", tool="enrichment", params={"method": "ora"}, inputs=["S1"]))
            return Plan(steps=steps)
        return super().ask(question)


@dataclass(frozen=True)
class FixedPipeline(System):
    """What most cores run: contrast, over-representation, report."""

    name: ClassVar = "fixed pipeline"

    def hypotheses(self, simulation: Simulation, budget: Budget, seed: int) -> list[Hypothesis]:
        """See `System.hypotheses`."""
        return study(simulation, _Pipeline()).run(budget, seed, refine=False).hypotheses


SYSTEMS: dict[str, type[System]] = {
    one.name: one for one in (Ours, NoRefinement, NoGate, RandomObjectives, SingleShot, FlatLoop, FixedPipeline)
}
