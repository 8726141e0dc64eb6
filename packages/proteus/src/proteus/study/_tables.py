"""A study's report as tables: answers, objectives, refinements, hypotheses."""

from __future__ import annotations

from ninefold.report import Table

from proteus.review._rubric import total
from proteus.study._study import Report

_MOST, _SINGLE = 40, 20  # hypotheses, and single results, that are printed


def report_tables(report: Report, *, cohorts: bool) -> list[Table]:
    """All tables of a report; notes under the last one say what limits the grades.

    Args:
        report: of a study. cohorts: whether the samples are of several cohorts.
    """
    tables = [*_replies(report), _objectives(report), _refinements(report), *_hypotheses(report)]
    notes = tables[-1].notes
    notes += [f"partial: {report.stopped} used up"] if report.stopped else []
    if not cohorts:
        notes.append("one cohort: nothing was asked again in another, so the highest grade is B")
        if report.predicted is not None:
            name, rate = report.predicted
            notes.append(f"halves of it show {rate:.2f} of what the other half calls in {name}")
    if report.fallbacks:
        notes.append(f"the expert answered for the {report.planner} planner: {', '.join(report.fallbacks)}")
    if report.refused:
        notes.append(f"{report.refused} proposals refused: they say what no cell holds")
    return tables


def _hypotheses(report: Report) -> list[Table]:
    """Hypotheses, which join several results, and single results: number, grade, statement, evidence, score."""
    told = list(zip(report.hypotheses, report.statements, strict=True))
    made = []
    for title, kind, most in (("hypotheses", True, _MOST), ("single results", False, _SINGLE)):
        rows = [(one, text) for one, text in told if one.joined == kind]
        grades = ", ".join(f"{sum(one.grade == grade for one, _ in rows)} {grade}" for grade in "ABC")
        table = Table(
            ["number", "grade", "firm", "statement", "evidence", "score"], title=f"{len(rows)} {title}: {grades}"
        )
        for one, text in rows[:most]:
            firm, score = "yes" if one.firm else "no", round(total(one.scores), 2)
            table.rows.append([one.id, one.grade, firm, text, len(one.evidence), score])
        if len(rows) > most:
            table.notes.append(f"{len(rows) - most} more in hypotheses.json")
        made.append(table)
    if not made[0].rows:
        made[0].notes.append("no hypothesis joins several results; knowledge of sets or interactions could")
    return made


def _replies(report: Report) -> list[Table]:
    """The answer to what the user asked, in the user's words."""
    return [Table(["answer"], [[one] for one in lines], title=question) for question, lines in report.replies]


def _objectives(report: Report) -> Table:
    """Objectives with their steps, refinements, and what the run-wide control says of their families."""
    passed = {one.objective: one for one in report.verdicts}
    table = Table(["objective", "question", "steps", "refinements", "findings", "family"], title="Objectives")
    for one in report.answers:
        verdict = passed.get(one.objective.id)
        family = (
            "-" if verdict is None else f"Simes p {verdict.simes:.2g}, {'passed' if verdict.passed else 'not passed'}"
        )
        failed = one.failures()
        if one.refused:
            family = f"refused: {one.refused}"
        elif failed:
            family = f"failed: {failed[0]}" if verdict is None else f"{family}; failed: {failed[0]}"
        cells = [len(one.results), len(one.refinements), len(one.findings()), family]
        table.rows.append([one.objective.id, one.objective.question, *cells])
    unanswered = [one for one in report.answers if one.refused or (one.failures() and one.objective.id not in passed)]
    table.notes += [f"{one.objective.id} has no answer: {one.refused or one.failures()[0]}" for one in unanswered]
    table.notes += [f"not asked: {', '.join(report.not_asked)}"] if report.not_asked else []
    return table


def _refinements(report: Report) -> Table:
    """What changed a workflow, by which measured trigger, and how the hit list changed."""
    table = Table(
        ["objective", "step", "change", "trigger", "hits before", "after", "gained", "lost"], title="Refinements"
    )
    for one in report.refinements:
        changed = one.get("changed", {})
        change = " ".join([one["action"], *(f"{key}={value}" for key, value in one["params"].items())])
        trigger = ", ".join(f"{key} {value}" for key, value in one["trigger"].items())
        counts = [changed.get("before", "-"), changed.get("after", "-")]
        counts += [changed.get("gains", "-"), changed.get("losses", "-")]
        table.rows.append([one["objective"], one["step"], change, trigger, *counts])
    return table
