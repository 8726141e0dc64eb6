"""Rival systems: the same tools, table and budget, planned otherwise.

Each returns the hypotheses that it would print. All of them test by the default test; they differ in what is asked, in
what results may change, and in what is believed.
"""

from collections.abc import Callable

import numpy as np
from proteus.planning._expert import ExpertPlanner, drafts
from proteus.planning._templates import main_factors, plan
from proteus.record._objects import Budget, Hypothesis, Objective, Settings, Step
from proteus.record._planner import Objectives, Plan, PlanWorkflow, ProposeObjectives, Question
from proteus.study._study import Study
from proteus_experiments.simulators._tables import Simulation

System = Callable[[Simulation, Budget, int], list[Hypothesis]]


def study(simulation: Simulation, planner: ExpertPlanner | None = None) -> Study:
    """A study of a simulated table and its knowledge."""
    return Study(simulation.data, planner or ExpertPlanner(), sets=simulation.sets, network=simulation.network)


def _proposed(planner: ExpertPlanner, question: ProposeObjectives) -> list[Objective]:
    found = ExpertPlanner.ask(planner, question)
    assert isinstance(found, Objectives)
    return found.objectives


class _RandomPlanner(ExpertPlanner):
    """Draws half of the objectives instead of choosing them."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._rng = np.random.default_rng(seed)

    def ask(self, question: Question):
        """See `Planner.ask`."""
        found = super().ask(question)
        if not isinstance(question, ProposeObjectives):
            return found
        everything = _proposed(self, question.model_copy(update={"limit": 12}))
        count = max(1, min(len(everything), question.limit) // 2)
        chosen = self._rng.choice(len(everything), count, replace=False)
        return Objectives(objectives=[everything[int(one)] for one in chosen])


def _knowledge_steps(question: PlanWorkflow, source: str, first: int) -> list[Step]:
    tools = [("sets", "enrichment"), ("network", "network_modules")]
    wanted = [tool for name, tool in tools if name in question.profile.knowledge]
    return [Step(id=f"S{first + place}", tool=tool, inputs=[source]) for place, tool in enumerate(wanted)]


def _contrast_step(objective: Objective) -> Step:
    return Step(id="S1", tool="contrast", params={"design": objective.design, "contrast": objective.contrast})


class _SingleShot(ExpertPlanner):
    """One question, one plan for everything, no second look: the main contrast, then sets and network."""

    def ask(self, question: Question):
        """See `Planner.ask`."""
        if isinstance(question, ProposeObjectives):
            return Objectives(objectives=[one for one in _proposed(self, question) if one.contrast][:1])
        if isinstance(question, PlanWorkflow) and question.objective.contrast:
            steps = plan(question.objective.model_copy(update={"template": "group_contrast"}), {})
            return Plan(steps=[*steps, *_knowledge_steps(question, "S2", 4)])
        return super().ask(question)


class _Flat(ExpertPlanner):
    """A flat ReAct loop over factors: test, enrich, network, survival, next; nothing is asked of the design, every
    family is on its own, every hit is believed."""

    def ask(self, question: Question):
        """See `Planner.ask`; what is aliased has a priority under 2."""
        if isinstance(question, ProposeObjectives):
            asked = ("group_contrast", "survival", "subtype")
            usable = [
                one for one in drafts(question.profile) if one.template in asked and one.priority > 2
            ]  # none aliased
            return Objectives(objectives=[
                Objective(id=f"O{place}", template=one.template, question=one.question, design=one.design,
                          contrast=one.contrast, outcome=list(one.outcome), priority=-place)
                for place, one in enumerate(usable[: question.limit], 1)
            ])  # fmt: skip
        if isinstance(question, PlanWorkflow) and question.objective.contrast:
            return Plan(steps=[_contrast_step(question.objective), *_knowledge_steps(question, "S1", 2)])
        return super().ask(question)


class _Pipeline(ExpertPlanner):
    """What most cores run: contrast of the first factor, gene sets (by our test of them), report."""

    def ask(self, question: Question):
        """See `Planner.ask`."""
        if isinstance(question, ProposeObjectives):
            first = main_factors(question.profile)[0].name
            chosen = [one for one in _proposed(self, question) if one.contrast and (one.design or "").endswith(first)]
            return Objectives(objectives=chosen[:1])
        if isinstance(question, PlanWorkflow):
            sets = [Step(id="S2", tool="enrichment", inputs=["S1"])]
            return Plan(steps=[_contrast_step(question.objective), *sets * ("sets" in question.profile.knowledge)])
        return super().ask(question)


def _run(
    planner: Callable[[int], ExpertPlanner] = lambda _: ExpertPlanner(), settings: Settings | None = None
) -> System:
    return lambda table, budget, seed: study(table, planner(seed)).run(budget, seed, settings=settings).hypotheses


_FIXED = Settings(refine=False)
SYSTEMS: dict[str, System] = {
    "proteus": _run(),
    "no refinement": _run(settings=_FIXED),
    "no gate": _run(settings=Settings(gate=False)),
    "random objectives": _run(_RandomPlanner),
    "single shot": _run(lambda _: _SingleShot(), _FIXED),
    "flat loop": _run(lambda _: _Flat(), _FIXED),
    "fixed pipeline": _run(lambda _: _Pipeline(), _FIXED),
}
