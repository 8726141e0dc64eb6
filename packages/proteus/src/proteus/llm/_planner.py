"""`LLMPlanner`: the questions of the loop put to a language model."""

from itertools import zip_longest
from typing import Any

from ninefold.files import digest_file
from pydantic import BaseModel

from proteus.data._data import ProteomicsData
from proteus.knowledge._describe import at_the_door
from proteus.knowledge._private import without_names
from proteus.llm._client import Client
from proteus.llm._prompt import prompt
from proteus.llm._veil import Veil
from proteus.record._planner import Planner, PlannerError, Question
from proteus.record._words import words

_FINDINGS, _MEMBERS = 60, 10
_WITHOUT_RESULTS = {"propose_objectives", "plan_workflow", "type_question"}  # what `schema-only` lets a model decide


class LLMPlanner(Planner):
    """Asks a model on an OpenAI-compatible server.

    Args:
        client: see `Client`; its budget and store are the run's.
        data: the table, whose names are kept back as the data policy says.
    """

    name = "llm"

    def __init__(self, client: Client, data: ProteomicsData) -> None:
        super().__init__()
        self._client = client
        self._veil = Veil(client.endpoint.policy, without_names(at_the_door(data)), data)

    def records(self) -> dict[str, str]:
        """See `Planner.records`."""
        folder = self._client.calls.folder
        return {path.name: digest_file(path) for path in sorted(folder.glob("*.json"))}

    def ask(self, question: Question) -> BaseModel:
        """See `Planner.ask`. Under `schema-only` a model is asked for objectives and plans alone."""
        role = question.role
        if self._veil.policy == "schema-only" and role not in _WITHOUT_RESULTS:
            raise PlannerError("refused", f"{role}: the data policy schema-only shows no result to a model")
        payload = question.model_dump(mode="json")
        if "profile" in payload:
            payload["profile"] = self._veil.profile(payload["profile"])
        if role == "propose_objectives":  # what to ask needs no parameters, and they are most of the words
            payload["tools"] = [{key: one[key] for key in ("name", "summary", "requires")} for one in payload["tools"]]
        if "findings" in payload:
            payload["findings"] = _strongest(payload["findings"])
        shown = self._veil.hide(payload)
        try:
            return self._client.ask(
                role,
                prompt(role, words("prompts")["planner"] + words("prompts")[role], shown),
                question.answer,
                read=self._veil.show,
            )
        finally:
            self._count()

    def _count(self) -> None:
        calls, tokens, usd, estimated = self._client.calls.spent()
        self.spent.calls, self.spent.tokens, self.spent.usd, self.spent.estimated = calls, tokens, usd, estimated


def _strongest(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most 60, those of each objective in turn, smallest p first, with at most ten members: a prompt has an end."""
    queues: dict[str, list[dict[str, Any]]] = {}
    for one in sorted(findings, key=lambda one: (one["descriptive"], 1.0 if one["p"] is None else one["p"], one["id"])):
        queues.setdefault(one["objective"], []).append({**one, "members": one["members"][:_MEMBERS]})
    turns = [one for turn in zip_longest(*queues.values()) for one in turn if one is not None]
    return turns[:_FINDINGS]
