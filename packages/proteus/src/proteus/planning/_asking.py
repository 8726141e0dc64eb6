"""Asking a planner: every question and answer in the journal, refused answers back with the reason, the expert as
fallback where a planner cannot answer."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from proteus.planning._expert import ExpertPlanner
from proteus.planning._typed import typed
from proteus.record._ledger import Ledger, digest_of
from proteus.record._planner import Planner, PlannerError, Question, Spent

A = TypeVar("A", bound=BaseModel)
RETRIES = 2  # a refused answer comes back with its reason this often


class Asking:
    """Puts questions to a planner.

    Attributes:
        fallbacks: roles that the expert had to answer.
        exhausted: what budget of the planner ran out, if one did.
    """

    def __init__(self, planner: Planner, ledger: Ledger) -> None:
        self.planner, self.ledger = planner, ledger
        self.expert = planner if isinstance(planner, ExpertPlanner) else ExpertPlanner()
        self.fallbacks: list[str] = []
        self.exhausted: str | None = None
        self.n = 0

    def ask(self, question: Question, answer: type[A], check: Callable[[A], list[str]] | None = None) -> A:
        """An answer that passes `check` (reasons why not, empty if it does).

        After two refusals, or where the planner is down or out of budget, the expert answers, and the journal says so.

        Raises:
            PlannerError: if the expert has none that passes either, as for a kind of objective that a model made up.
        """
        reasons: list[str] = []
        for _ in range(RETRIES + 1):
            if self.exhausted is not None:
                break
            asked = question.model_copy(update={"refused": reasons})
            try:
                found = self._one(asked, answer)
            except PlannerError as error:
                self._fall_back(question, f"{error.kind}: {error.reason}", known=isinstance(error, _KnownError))
                if error.kind == "budget":
                    self.exhausted = error.reason
                return self._expert(question, answer, check)
            if not isinstance(self.planner, ExpertPlanner):
                found = typed(question, found)
            reasons = check(found) if check is not None else []
            if not reasons:
                return found
            self.ledger.note("refused", role=question.role, n=self.n, reasons=reasons)
        if self.exhausted is None:
            self._fall_back(question, f"refused: {'; '.join(reasons)[:500]}")
        return self._expert(question, answer, check)

    def instead(self, question: Question, answer: type[A]) -> A:
        """The expert's answer, where another planner's was refused for good; the journal says so."""
        self._fall_back(question, "refused: for good, so the expert answers for what is left")
        return self._expert(question, answer, None)

    def by_rule(self, question: Question, answer: type[A]) -> A:
        """The answer of the expert's rules, where no planner is asked: it counts as nobody's call."""
        return answer.model_validate(ExpertPlanner().ask(question).model_dump())

    def _one(self, question: Question, answer: type[A]) -> A:
        self.n += 1
        digest = digest_of(question)
        about = {"role": question.role, "n": self.n, "digest": digest}
        self.ledger.note("question", **about)
        known = self.ledger.recall("answer", **about)
        if known is not None:
            self.planner.spent = Spent.model_validate(known["spent"])
            return answer.model_validate(known["answer"])
        down = self.ledger.recall("fallback", role=question.role, n=self.n)
        if down is not None:
            kind, _, reason = str(down["reason"]).partition(": ")
            raise _KnownError(kind, reason)
        found = self.planner.ask(question)
        try:
            found = answer.model_validate(found.model_dump())
        except ValidationError as error:
            raise PlannerError("refused", str(error).splitlines()[0]) from None
        spent = self.planner.spent.model_dump()
        self.ledger.note(
            "answer", **about, planner=self.planner.name, answer=found.model_dump(mode="json"), spent=spent
        )
        return found

    def _fall_back(self, question: Question, reason: str, *, known: bool = False) -> None:
        if not isinstance(self.planner, ExpertPlanner) and self.fallbacks[-1:] != [question.role]:
            self.fallbacks.append(question.role)
        if not known:
            self.ledger.note("fallback", role=question.role, n=self.n, reason=reason)

    def _expert(self, question: Question, answer: type[A], check: Callable[[A], list[str]] | None) -> A:
        found = answer.model_validate(self.expert.ask(question.model_copy(update={"refused": []})).model_dump())
        reasons = check(found) if check is not None else []
        if reasons:
            raise PlannerError("refused", "; ".join(reasons))
        return found


class _KnownError(PlannerError):
    """A fallback of the interrupted run, met again."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__("budget" if kind == "budget" else "down" if kind == "down" else "refused", reason)
