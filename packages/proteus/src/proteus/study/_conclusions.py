"""What all objectives say together: error control over their families, then hypotheses from the graph alone."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from proteus.planning._asking import Asking
from proteus.planning._headline import levels_of, sides_of
from proteus.planning._question import names_of
from proteus.planning._reply import (
    SHOWN,
    Found,
    Line,
    counted,
    feature_rows,
    other_reply,
    readback,
    reply_on_features,
    subjects_of,
)
from proteus.record._ledger import Ledger
from proteus.record._objects import Budget, Finding, Hypothesis, Objective, Query
from proteus.record._planner import Hypotheses, ProposeHypotheses
from proteus.record._store import Store
from proteus.record._words import words
from proteus.review._rubric import Knowledge
from proteus.study._answer import Answer
from proteus.study._gate import Evidence, check, derived, fill
from proteus.study._grading import Family, Verdict, judge
from proteus.study._ranking import finish, merge
from proteus.study._replicated import replicated
from proteus.tools._context import Context
from proteus.tools._registry import tools
from proteus.tools._tools_bulk import findings_of


class Conclusions:
    """From the answers of one study to its verdicts and hypotheses.

    Args:
        answers: of all objectives, in the order in which they were opened.
        context, asking, store, ledger, budget: as the engine had them.
        gate: off in rival systems only.
        cohort: column of cohorts, in each of which findings of contrasts are asked again.

    Attributes:
        refused: proposals that the gate did not let through.
    """

    def __init__(
        self, answers: Sequence[Answer], context: Context, asking: Asking, store: Store, ledger: Ledger, budget: Budget,
        *, gate: bool = True, cohort: str | None = None,
    ) -> None:  # fmt: skip
        self.answers, self.context, self.asking, self.store = answers, context, asking, store
        self.ledger, self.budget, self.gate, self.tools = ledger, budget, gate, tools()
        self.cohort = cohort
        self.refused = 0

    def judge(self) -> list[Verdict]:
        """Families in the order in which objectives were opened, and the control over all of them."""
        families = []
        for answer in self.answers:
            rows, values = [], []
            for key, result in answer.results.items():
                step = answer.workflows[-1].step(key)
                if key in answer.means or result.p_values is None or not self.tools[step.tool].confirms:
                    continue
                artifact, _, column = result.p_values.rpartition(":")
                frame = self.store.load(artifact)
                rows.append(artifact + "#" + frame["id"].astype(str).to_numpy(object))
                values.append(frame[column].to_numpy(float))
            if rows:
                families.append(Family(answer.objective.id, np.concatenate(rows), np.concatenate(values)))
        verdicts = judge(families)
        for place, one in enumerate(verdicts, 1):
            self.ledger.note(
                "family", objective=one.objective, simes=one.simes, position=place, passed=one.passed, level=one.level,
                size=one.size, rejected=len(one.rejected),
            )  # fmt: skip
        return verdicts

    def hypotheses(self, verdicts: list[Verdict]) -> list[Hypothesis]:
        """Proposed from the graph alone, through the gate (failing twice: dropped), graded, merged, ranked."""
        findings = {one.id: one for answer in self.answers for one in answer.findings()}
        if not findings:
            return []
        columns = {one.artifact: list(self.store.load(one.artifact).columns) for one in findings.values()}
        evidence = Evidence(findings, self.store.load, self.context.profile, columns)
        question = ProposeHypotheses(
            profile=self.context.profile, objectives=[one.objective for one in self.answers if not one.refused],
            findings=list(findings.values()), columns=columns, limit=self.budget.hypotheses,
        )  # fmt: skip
        accepted: list[Hypothesis] = []
        refused: list[str] = []
        whole = question

        def look(proposed: Sequence[Hypothesis], turn: int) -> list[str]:
            wrong = []
            for one in proposed[: self.budget.hypotheses - len(accepted)]:
                reasons = check(one, evidence) if self.gate else []
                self.ledger.note("gate", statement=one.statement, accepted=not reasons, reasons=reasons, turn=turn)
                if reasons:
                    wrong.append(f"{one.statement!r}: {'; '.join(reasons)}")
                elif self.gate or all(key in findings for key in one.evidence):
                    accepted.append(derived(one, evidence))
            return wrong

        for turn in (1, 2):
            refused = look(self.asking.ask(question, Hypotheses).hypotheses, turn)
            if not refused:
                break
            self.refused += len(refused)
            question = question.model_copy(update={"refused": refused[:20], "limit": max(len(refused), 1)})
        if refused and len(accepted) < self.budget.hypotheses:  # what the planner got wrong twice, the expert says
            said = {key for one in accepted for key in one.evidence}
            rest = [one for one in self.asking.instead(whole, Hypotheses).hypotheses if one.evidence[0] not in said]
            self.refused += len(look(rest, 3))
        knowledge = Knowledge(self.context.sets, self.context.network)
        rejected = frozenset(row for one in verdicts for row in one.rejected)
        families = frozenset(one.objective for one in verdicts)
        again = None
        if self.cohort is not None:
            again = replicated(self.answers, self.context, self.cohort, self.store, self.ledger)
        made = [
            finish(one, findings, rejected, families, knowledge, again, self.context.profile.assay) for one in accepted
        ]
        return merge(made, findings)

    def reply(self, answer: Answer) -> None:
        """Answer the user's question by its typed query, and by nothing else."""
        query, objective = answer.objective.query, answer.objective
        if query is None:
            return
        profile, files = self.context.profile, {}
        lines: list[Line] = [(readback(query, sides_of(query.contrast or "", levels_of(profile))), {})]
        artifacts = {
            step.tool: answer.results[step.id].artifacts
            for step in (answer.workflows[-1].steps if answer.workflows else [])
            if step.id in answer.results and answer.results[step.id].status != "failed"
        }
        tool = words("answers").get(query.kind, [None])[0]
        features = artifacts.get(tool or "", {}).get("features")
        if answer.refused:
            lines.append((f"It cannot be answered: {answer.refused}", {}))
        elif features is not None:
            frame, name = self.store.load(features), f"{objective.id}.reply"
            family = None if query.family is None else names_of(self.context).family(query.family)
            passed, about = feature_rows(query, frame, family)
            files = self.store.save(name, counted(passed, about, frame))
            rows = self._rows(query, features, frame, about if subjects_of(query) else passed, objective)
            lines += reply_on_features(query, rows, name, profile, list(map(str, frame.columns)))
            known = set(frame["entity"])
            lines += [(f"{one} could not be tested", {}) for one in subjects_of(query) if one not in known]
        elif tool is None:
            strongest = sorted(answer.findings(), key=lambda one: (1.0 if one.p is None else one.p, one.id))
            lines += other_reply(query, Found(self.store.load, artifacts, strongest), profile) or [
                ("Nothing passes", {})
            ]
        else:
            lines.append(("It could not be tested; see the objective's steps", {}))
        lines += [(f"{name} is not in the table", {}) for name in query.unknown]
        answer.reply = lines
        made = [{"text": text, "numbers": {key: ref.model_dump() for key, ref in refs.items()}} for text, refs in lines]
        more = {"files": files} if files else {}
        self.ledger.note("reply", objective=objective.id, question=objective.question, lines=made, **more)

    def _rows(
        self, query: Query, artifact: str, frame: pd.DataFrame, chosen: np.ndarray, objective: Objective
    ) -> list[Finding]:
        """Rows as findings, in the order and number that the query asks for."""
        target = objective.contrast or query.over or query.factor or "/".join(objective.outcome)
        if query.kind == "correlation":
            target = query.entities[0]
        found = findings_of(frame, artifact, words("answers")[query.kind][1], target, chosen=chosen)
        if query.kind == "interaction":  # each row stands out in a cell of its own
            cells = dict(zip(frame["id"].astype(str), frame["cell"], strict=True))
            found = [one.model_copy(update={"target": str(cells[one.row])}) for one in found]
        if query.kind in ("groups", "unchanged"):
            found = [one.model_copy(update={"sign": 0}) for one in found]
        if query.by_effect:
            found.sort(key=lambda one: -abs(one.effect or 0.0))
        return found if subjects_of(query) else found[: query.top or SHOWN]

    def lines(self, answer: Answer) -> list[str]:
        """The reply to a user's question, with its numbers in."""
        return [fill(text, numbers, self.store.load) for text, numbers in answer.reply]
