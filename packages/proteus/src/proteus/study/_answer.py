"""What the pursuit of one objective leaves, and how a refinement changes its workflow."""

from dataclasses import dataclass, field
from typing import Any

from proteus.record._objects import Finding, Objective, Ref, StepResult, Workflow
from proteus.record._planner import Refinement


@dataclass
class Answer:
    """An objective after its workflow.

    Attributes:
        reply: of an objective that the user asked: sentences, with the cells of their numbers.
        means: steps that the first plan has only for others to read: their findings are another objective's.
    """

    objective: Objective
    workflows: list[Workflow]
    results: dict[str, StepResult]
    summary: str = ""
    supported: bool = False
    refused: str = ""
    refinements: list[dict[str, Any]] = field(default_factory=list)
    reply: list[tuple[str, dict[str, Ref]]] = field(default_factory=list)
    means: frozenset[str] = frozenset()

    def findings(self) -> list[Finding]:
        """Of steps that are ends, with what the sensitivity refits say."""
        return [one for key, result in self.results.items() if key not in self.means for one in result.findings]

    def failures(self) -> list[str]:
        """Errors of the last workflow's steps, tool first; of steps that only read a failed one nothing is repeated."""
        steps = self.workflows[-1].steps if self.workflows else []
        failed = [(one, self.results[one.id]) for one in steps if one.id in self.results]
        made = [(one, result.error) for one, result in failed if result.status == "failed"]
        lost = {one.id for one, _ in made}
        return [f"{one.tool}: {error}" for one, error in made if not lost & set(one.inputs)]


def apply_refinement(workflow: Workflow, found: Refinement) -> Workflow:
    """The next version of a workflow; ValueError if the refinement does not fit it."""
    steps = list(workflow.steps)
    place = next((number for number, one in enumerate(steps) if one.id == found.step), None)
    if place is None:
        raise ValueError(f"there is no step {found.step!r}")
    if found.action == "set_params":
        if not found.params:
            raise ValueError("set_params needs params")
        steps[place] = steps[place].model_copy(update={"params": {**steps[place].params, **found.params}})
    elif found.action == "insert":
        if not found.steps:
            raise ValueError("insert needs steps")
        steps[place + 1 : place + 1] = found.steps
    elif found.action == "drop":
        gone = dependents(workflow, found)
        steps = [one for one in steps if one.id not in gone]
    return Workflow(objective=workflow.objective, version=workflow.version + 1, steps=steps)


def dependents(workflow: Workflow, found: Refinement) -> list[str]:
    """Steps of the old workflow that must run again, or for `drop` go: the one named and all that read it."""
    if found.action == "insert" or found.step is None:
        return []
    again = {found.step}
    for one in workflow.steps:
        if again & set(one.inputs):
            again.add(one.id)
    return sorted(again)
