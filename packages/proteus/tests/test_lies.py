"""False sentences of a scripted model, of twelve kinds, over every finding of three tables: none is printed."""

import itertools

import numpy as np
import pytest
from proteus import Budget, ProteomicsData, Study
from proteus.planning._expert import ExpertPlanner, propose
from proteus.planning._headline import slots_of
from proteus.record._journal import read_journal
from proteus.record._objects import Ref
from proteus.record._planner import Hypotheses, Planner, ProposeHypotheses
from proteus.record._run_folder import Folder
from proteus.verification._report import render_report, write_report
from proteus.verification._verify import verify

from .helpers import noise, table
from .helpers import undrawn as undrawn


def groups():
    values = noise(300, 12, 1, sd=0.2)
    values[:12, :4] += 1.5
    values[12:24, :4] -= 1.5
    return table(values, condition=["treated"] * 4 + ["control"] * 4 + ["vehicle"] * 4, sex=["f", "m"] * 6)


def gappy():
    values = noise(400, 12, 2, sd=0.2)
    values[np.random.default_rng(0).random(values.shape) > 1 / (1 + np.exp(-1.3 * (values - 22.5)))] = np.nan
    values[:6, :6], values[:6, 6:] = 26 + 0.1 * np.random.default_rng(1).standard_normal((6, 6)), np.nan
    values[6:20, :6] = 27 + 0.1 * np.random.default_rng(2).standard_normal((14, 6))
    values[6:20, 6:] = 25 + 0.1 * np.random.default_rng(3).standard_normal((14, 6))
    return table(values, group=["AD"] * 6 + ["control"] * 6)


def cells():
    rng = np.random.default_rng(0)
    names = ["CD3", "CD4", "CD7", "CD20", "CD33", "CD14", "HLA-DR", "pS6", "pAkt"]
    values = rng.gamma(2, 2, (9, 4000))
    donor, arm = rng.choice(list("wxyz"), 4000), rng.choice(["BCRXL", "Reference"], 4000)
    kind = rng.integers(0, 2, 4000)
    values[3, kind == 1] += 60
    values[0, kind == 0] += 60
    values[7, arm == "BCRXL"] += 25
    values[8, arm == "Reference"] += 15
    data = table(values, group=list(arm), donor=list(donor))
    sheet = data.samples.assign(sample_id=data.samples["group"] + data.samples["donor"])
    return ProteomicsData(data.values, data.features.set_axis(names), sheet, "cell", "counts")


ROLES = {name: "state" if name.startswith("p") else "type" for name in ("CD3", "CD4", "CD7", "CD20", "pS6", "pAkt")}
STUDIES = {
    "groups": lambda planner: Study(groups(), planner), "gappy": lambda planner: Study(gappy(), planner),
    "cells": lambda planner: Study(cells(), planner, markers=ROLES),
}  # fmt: skip


def lies(slots, others, levels):
    """(kind, sentence, columns of its numbers) that are false of a finding."""
    a, b, name = *slots.sides, slots.entity
    other = next((one for one in others if one != name), "CD33")
    if slots.only_in:
        yield "side", f"{name} is detected in {slots.there} and not detected in {slots.here}", {}
        yield "side", f"{name} is absent in {slots.here}", {}
        yield "unit", f"{name} has a log2 change between {a} and {b} (q {{q}})", {"q": "q"}
        yield "count", f"{name} is seen in {{x}} of {{y}} in {slots.there}", {"x": "missing_second", "y": "of_second"}
        yield "cause", f"{slots.here} causes {name} to be detected", {}
        yield "entity", f"{other} is detected in {slots.here}", {}
        yield "column", f"{name} is detected in {slots.here} (q {{effect}})", {"effect": "n"}
        yield "certainty", f"{name} is a biomarker, detected in {slots.here}", {}
        yield "quantity", f"{name} is detected in every sample of {slots.here}", {}
        return
    wrong, right = ("lower", "higher") if slots.sign > 0 else ("higher", "lower")
    falls = "falls" if slots.sign > 0 else "rises"
    yield "direction", f"{name} is {wrong} in {a} than in {b}", {}
    yield "direction", f"{name} {falls} from {b} to {a}", {}
    yield "direction", f"{name} is not {right} in {a} than in {b}", {}
    yield "side", f"{name} is {right} in {b} than in {a}", {}
    yield "side", f"In {b}, {name} is {right} (q {{q}})", {"q": "q"}
    for factor, known in levels.items():
        for level in known:
            if level not in (a, b):
                yield "contrast", f"{name} is {right} in {level} than in {b}", {}
        yield from [("contrast", f"{name} is {right} with {factor}", {})] * (a not in known)
    yield "contrast", f"{name} is {right} in healthy donors than in {b}", {}
    yield "column", f"{name} is {right} in {a} than in {b} ({slots.unit} {{effect}})", {"effect": "q"}
    yield "column", f"{name} is {right} in {a} than in {b} (q {{x}})", {"x": "effect"}
    yield "entity", f"{other} is {right} in {a} than in {b}", {}
    yield "entity", f"{name} and {other} are {right} in {a} than in {b}", {}
    yield "count", f"{name} is {right} in {a} than in {b} (n {{q}})", {"q": "q"}
    yield "count", f"{name} is {right} in {a} than in {b} in two of three donors", {}
    yield "cause", f"{a} causes {name} to be {right} than in {b}", {}
    yield "cause", f"{name} is {right} in {a} because of the disease", {}
    yield "cause", f"{name} drives the difference between {a} and {b}", {}
    yield "cause", f"{name} activates {other} in {a}", {}
    yield "cause", f"{a} {'raises' if slots.sign > 0 else 'lowers'} {name}", {}
    units = ("log2", "arcsinh", "odds")
    yield from [("unit", f"{name} differs between {a} and {b} ({unit} change {{effect}})", {"effect": "effect"})
                for unit in units if unit not in slots.unit]  # fmt: skip
    yield "unit", f"{name} differs between {a} and {b} by {{effect}} percent", {"effect": "effect"}
    yield "kind", f"{name} predicts survival in {a}", {}
    yield "kind", f"{name} is not detected in {b if slots.sign > 0 else a}", {}
    yield "certainty", f"{name} is a proven biomarker of {a}", {}
    yield "quantity", f"{name} is the strongest difference between {a} and {b}", {}
    yield "quantity", f"All {name} is {right} in {a}", {}


BIOLOGY = (
    "is a contaminant from keratin", "is toxic to neurons", "marks a subtype of the disease", "is cleaved by caspases",
    "comes from lysed blood cells", "is what the drug binds", "explains the patients' memory loss",
)  # fmt: skip


class Says(Planner):
    """What the expert does, but for the sentences of its hypotheses: `say(slots, entities, levels)` gives them."""

    name = "says"

    def __init__(self, say):
        super().__init__()
        self.say, self.told, self.expert = say, [], ExpertPlanner()

    def ask(self, question):
        if not isinstance(question, ProposeHypotheses):
            return self.expert.ask(question)
        findings = {one.id: one for one in question.findings}
        levels = {one.name: list(one.levels) for one in question.profile.factors}
        entities = list(dict.fromkeys(one.entity for one in question.findings))
        made = []
        for one in propose(question, 60):
            lead = findings[one.evidence[0]]
            slots = slots_of(lead, question.profile, question.columns[lead.artifact])
            for said, columns in self.say(slots, entities, levels):
                numbers = {
                    key: Ref(artifact=lead.artifact, row=lead.row, column=column) for key, column in columns.items()
                }
                made.append(one.model_copy(update={"statement": said, "numbers": numbers}))
                self.told.append(said)
        return Hypotheses(hypotheses=made[:60])


def nth(generate, place):
    """One of the sentences of each finding, another with each call."""
    turn = itertools.count(place)

    def say(slots, entities, levels):
        found = list(generate(slots, entities, levels))
        return [found[next(turn) % len(found)][-2:]]

    return say


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", STUDIES)
def test_no_sentence_of_a_model_is_printed(name, tmp_path):
    kinds = set()

    def noted(slots, entities, levels):
        for kind, *rest in lies(slots, entities, levels):
            kinds.add(kind)
            yield kind, *rest
        yield from (("biology", f"{slots.entity} {said}", {}) for said in BIOLOGY)

    for place in (0, 7, 17) if name == "cells" else (0, 15):
        planner = Says(nth(noted, place))
        report = STUDIES[name](planner).run(Budget(objectives=2, hypotheses=60), out=tmp_path / str(place))
        folder = Folder(tmp_path / str(place))
        write_report(folder.root)
        printed = render_report(folder) + folder.hypotheses.read_text(encoding="utf-8")
        ours = " ".join(report.statements)  # a lie about one entity may be the truth of another
        assert len(planner.told) >= 3
        assert [said for said in planner.told if said in printed and said not in ours] == []
        assert [one for one in report.hypotheses if one.prose] == []
        assert report.hypotheses  # what the cells of its findings say
        assert report.refused == 0
        journal = folder.events.read_text(encoding="utf-8")
        assert all(said.replace('"', "'") in journal for said in planner.told)
        assert verify(folder.root).problems == []
    assert len(kinds) >= 8


def test_a_sentence_that_was_exchanged_is_found_by_verify(tmp_path):
    from ninefold.files import digest_file
    from proteus.record._documents import read_documents, write_documents
    from proteus.record._journal import Journal
    from proteus.record._objects import Hypothesis

    Study(groups()).run(Budget(objectives=2), out=tmp_path / "run")
    folder = Folder(tmp_path / "run")
    made = read_documents(folder.hypotheses, "hypotheses", Hypothesis)
    one = made[0]
    flipped = one.statement.replace("higher", "LOW").replace("lower", "higher").replace("LOW", "lower")
    write_documents(folder.hypotheses, "hypotheses", [one.model_copy(update={"statement": flipped}), *made[1:]])
    events = read_journal(folder.events)  # by someone who writes the journal anew too
    folder.events.unlink()
    journal = Journal(folder.events)
    for event in events:
        data = dict(event.data)
        if event.kind == "finish":
            data["digests"] = {**data["digests"], "hypotheses.json": digest_file(folder.hypotheses)}
        journal.append(event.kind, **data)
    problems = verify(folder.root).problems
    assert any(f"{one.id} does not say what" in line for line in problems), problems


def test_a_finding_of_another_entity_lends_no_grade():
    class Borrows(ExpertPlanner):
        name = "borrows"

        def ask(self, question):
            found = super().ask(question)
            if isinstance(question, ProposeHypotheses):
                first = found.hypotheses[0]
                same = [
                    one for one in found.hypotheses if (one.direction, one.context) == (first.direction, first.context)
                ]
                found = Hypotheses(hypotheses=[one.model_copy(update={"evidence": [*one.evidence, *first.evidence]})
                                               for one in same[1:]])  # fmt: skip
            return found

    plain = {one.entities[0]: one.grade for one in Study(groups()).run(Budget(objectives=1)).hypotheses}
    for one in Study(groups(), Borrows()).run(Budget(objectives=1)).hypotheses:
        assert one.grade == plain[one.entities[0]]
