"""The page of a run, and `verify`, which derives what it prints again."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import ArtifactError
from ninefold.files import digest_file
from proteus import Budget, ProteomicsData, Study
from proteus.record._documents import read_documents, write_documents
from proteus.record._journal import Journal, read_journal
from proteus.record._objects import Hypothesis
from proteus.record._run_folder import Folder, write_artifact
from proteus.verification._report import render_report, write_report
from proteus.verification._verify import PRINTED, verify

from .helpers import noise, table
from .helpers import unrendered as unrendered
from .made_run import NAME, frame, make_run


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("written") / "run")
    write_report(folder.root)
    return folder.root


@pytest.fixture
def run(written, tmp_path):
    return Folder(shutil.copytree(written, tmp_path / "run"))


KNOWN = (
    "https://www.uniprot.org/uniprotkb/", "https://string-db.org/", "https://platform.opentargets.org/search?q=",
    "https://reactome.org/content/detail/R-",
)  # fmt: skip


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.followed: set[str] = set()
        self.ids, self.links, self.outside, self.words, self.scripts, self.policy = set(), [], [], [], [], ""

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            assert found["id"] not in self.ids, found["id"]
            self.ids.add(found["id"])
        for key in ("src", "href"):
            value = found.get(key, "#")
            (self.links if value.startswith("#") else self.outside).append(value)
        if tag == "a" and not found.get("href", "#").startswith("#"):
            assert found["rel"] == "noreferrer noopener"
            self.followed.add(found["href"])
        if tag == "script":
            self.scripts.append(found)
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"]

    def handle_data(self, data):
        self.words.append(data)


def read(folder):
    reader = Reader()
    reader.feed(folder.report.read_text())
    return reader


def test_the_page_stands_alone_and_its_links_lead_somewhere(run):
    page = read(run)
    pictures = [one for one in page.outside if one not in page.followed]
    assert all(one.startswith("data:image/png;base64,") for one in pictures)
    assert len(pictures) >= 3  # the table, its samples, volcano and p-values
    assert page.followed  # addresses that a reader may follow; the page itself requests nothing
    assert all(one.startswith(KNOWN) for one in page.followed)
    assert page.scripts in ([], [{"id": "results", "type": "application/json"}, {}])
    own = (resources.files("proteus.verification") / "report.js").read_bytes()
    digest = base64.b64encode(hashlib.sha256(own).digest()).decode()
    assert not page.scripts or page.policy.endswith(f"script-src 'sha256-{digest}'")  # nothing else can run
    assert {one[1:] for one in page.links if one != "#"} <= page.ids
    assert len(page.links) > 10


def test_every_number_of_a_statement_is_a_link_to_its_cell(run):
    text = run.report.read_text()
    one = re.search(r"<h3 id=\"R1\">(.*?)</details>|<h3 id=\"H1\">(.*?)</details>", text, re.DOTALL)[0]
    heading, rest = one.split("</summary>")  # the sentence; its numbers below it
    numbers = PRINTED.findall(heading + rest.split("</li>")[0])
    assert numbers == [(NAME, "P00000", "effect", "1.5"), (NAME, "P00000", "q", "6e-06")]
    bare = re.sub(r"<[^>]*>", "", PRINTED.sub("", heading)).replace("R1", "").replace("H1", "").replace("log2", "")
    assert not re.search(r"\d", bare)
    table = {(row.id, column): getattr(row, column) for row in frame().itertuples() for column in ("effect", "q")}
    for artifact, row, column, shown in PRINTED.findall(text):
        assert artifact == NAME
        if (row, column) in table:
            assert float(shown) == pytest.approx(table[row, column], rel=5e-3)


def test_refinements_are_told_with_trigger_and_change(run):
    words = " ".join(" ".join(read(run).words).split())
    assert "more than a fifth changed" in words
    assert "Trigger: changed 0.83. Hits before 3, after 5; gained 2, lost 0." in words
    assert "1 tests" not in words
    assert "Family 1: 6 tests, Simes p 6e-06, passed" in words


@pytest.mark.usefixtures("unrendered")
def test_a_run_with_modules_but_without_traits_is_written(tmp_path):
    """Twelve samples bring the objective on subtypes, one of whose tables is empty."""
    values = noise(90, 12)
    values[:30] += np.random.default_rng(0).standard_normal(12)
    values[30:40, ::2] += 3
    data = table(values, group=["a", "b"] * 6)
    report = Study(data).run(Budget(objectives=2), out=tmp_path / "run")
    assert [one.objective.template for one in report.answers] == ["group_contrast", "subtype"]
    text = write_report(tmp_path / "run").read_text()
    assert verify(tmp_path / "run").problems == []
    assert text.count("samples on the first two principal components</figcaption>") == 1  # the same runs, drawn once
    assert "S1.v1.samples" in text


def test_the_same_run_gives_the_same_page(run):
    before = run.report.read_bytes()
    assert render_report(run).encode() == before
    write_report(run.root)
    assert run.report.read_bytes() == before


def test_names_from_the_table_are_words_not_markup(tmp_path, monkeypatch):
    monkeypatch.setattr("proteus.verification._report.draw", lambda _: [])
    folder = make_run(tmp_path / "run")
    evil = '<script>alert(1)</script>"><img src=http://example.com/x>'
    found = read_documents(folder.hypotheses, "hypotheses", Hypothesis)
    write_documents(folder.hypotheses, "hypotheses", [found[0].model_copy(update={"statement": evil, "notes": [evil]})])
    write_report(folder.root)
    page = read(folder)
    assert not [one for one in page.outside if not one.startswith(("data:", *KNOWN))]
    assert all(one in page.followed for one in page.outside if one.startswith(KNOWN))
    assert len(page.scripts) in (0, 2)


def test_a_whole_run_verifies(run):
    done = verify(run.root)
    assert done.problems == []
    assert done.events == 14
    assert done.findings == 5
    assert done.numbers > 40


def problems(folder):
    with pytest.raises(ArtifactError) as caught:
        verify(folder.root).check(folder.root)
    return str(caught.value)


def test_an_input_other_than_the_one_the_run_was_given_is_named(run):
    """Also one that fits its own digests."""
    run.knowledge.write_text('{"sets": null}\n')
    given = {name: digest_file(run.input / name) for name in ("table/proteus.json", "knowledge.json")}
    events = read_journal(run.events)
    run.events.unlink()
    journal = Journal(run.events)
    for one in events:
        journal.append(one.kind, **one.data, **({"input": given} if one.kind == "run" else {}))
    write_report(run.root)
    assert verify(run.root).problems == []
    kept = ProteomicsData.open(run.table)
    kept.with_values(kept.values + 1, "moved").save(run.table, force=True)
    assert "input/table/proteus.json: was changed: its digest does not fit" in problems(run)
    kept.save(run.table, force=True)
    run.knowledge.write_text('{"sets": {"A": ["TP53"]}}\n')
    assert "input/knowledge.json: was changed: its digest does not fit" in problems(run)
    run.knowledge.unlink()
    assert "input/knowledge.json: is missing" in problems(run)


def test_an_edited_artifact_is_named_with_its_row(run):
    path = run.artifact(NAME)
    table = pd.read_parquet(path)
    table.loc[2, "effect"] = 9.0
    table.to_parquet(path, index=False)
    assert re.search(rf"artifacts/{re.escape(NAME)}\.parquet: row 'P00002' changed", problems(run))


def test_an_edited_artifact_whose_row_digests_were_mended_is_still_found(run):
    table = frame()
    table.loc[2, "effect"] = 9.0
    write_artifact(run, NAME, table)
    assert "was changed, and its row digests too" in problems(run)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: run.artifact(NAME).unlink(), r"hits\.parquet: is missing"),
        (lambda run: run.artifact(NAME).write_bytes(b"PAR1"), r"hits\.parquet: is damaged"),
        (lambda run: (run.artifacts / "x.parquet").touch(), r"x\.parquet: was not made by this run"),
        (lambda run: edit(run.hypotheses, '"grade": "C"', '"grade": "A"'), r"hypotheses\.json: was changed"),
        (lambda run: edit(run.graph, "MAPT", "APOE"), r"graph\.json: was changed"),
        (lambda run: edit(run.events, '"accepted": true', '"accepted": false'), r"events\.jsonl: line 2 was changed"),
        (lambda run: (run.input / "table" / "values.parquet").write_bytes(b"x"), r"input/table/values\.parquet"),
        (lambda run: edit(run.report, ">1.5</a>", ">7.5</a>"), r"prints 7.5 where .*'P00000', effect is 1.5"),
        (lambda run: edit(run.report, "in AD by", "in ALS by"), r"report\.html: line \d+ is not what"),
        (lambda run: run.report.unlink(), r"report\.html: is missing"),
    ],
)
def test_each_kind_of_damage_is_named(run, damage, message):
    damage(run)
    assert re.search(message, problems(run))


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_finding_that_says_other_than_its_row_is_found(tmp_path, monkeypatch):
    """A run whose own files contradict each other, though each digest fits."""
    from ninefold.files import digest_file
    from proteus.record._journal import Journal

    monkeypatch.setattr("proteus.verification._report.draw", lambda _: [])
    folder = make_run(tmp_path / "run")
    edit(folder.graph, '"effect": 1.5', '"effect": 2.5')
    digests = {path.name: digest_file(path) for path in (folder.graph, folder.hypotheses)}
    Journal(folder.events).append("finish", hypotheses=5, stopped=None, fallbacks=[], digests=digests)
    write_report(folder.root)
    assert "row 'P00000', effect is 1.5; graph.json says 2.5" in problems(folder)


def test_no_run_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="holds no run"):
        verify(tmp_path)


def test_an_unfinished_run_is_told(tmp_path):
    folder = make_run(tmp_path / "run")
    lines = folder.events.read_text().splitlines(keepends=True)
    folder.events.write_text("".join(lines[:-1]))
    assert "did not finish" in problems(folder)
    assert json.loads(lines[-1])["kind"] == "finish"
