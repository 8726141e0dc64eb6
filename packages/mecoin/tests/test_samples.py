"""Files that version 0.1.0 wrote: each format stays readable. `write` made them; a new format is sampled likewise."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from mecoin import Graph, Mecoin, SessionStream, Simulated, Split
from mecoin.encoders._gcn import GcnEncoder
from mecoin.evaluation._compare import run_comparison
from mecoin.paper import PaperModel
from ninefold.errors import ArtifactError
from ninefold.run import Run

from .small import masks

SAMPLES = Path(__file__).parent / "samples"
KINDS = {"plus": Mecoin, "paper": PaperModel}
CONFIG = {"learners": ["mecoin+", "SGC-NCM"]}
DATA = Simulated(
    classes=6, topics=2, largest=30, smallest=15, degree=8, homophily=0.8, vocabulary=30, words=20, sharpness=0.5
).draw(0)


def part(classes: int) -> Graph:
    return DATA.induced(np.flatnonzero(DATA.y < classes))


def stream() -> SessionStream:
    return SessionStream(DATA, base=2, way=2, shot=3, seed=0)


def write(folder: Path = SAMPLES) -> None:
    """Make the samples with whatever this version writes."""
    grown = part(3)
    support = {2: grown.ids[grown.y == 2][:5]}
    for name, kind in KINDS.items():
        encoder = None if kind is Mecoin else GcnEncoder(4, epochs=30)
        model = kind(encoder, hidden=4).fit_base(part(2), *masks(part(2), (0, 1)))
        model.add_classes(grown, support).save(folder / f"{name}.safetensors")
    with Run(folder / "bench", CONFIG) as run:
        run_comparison(run, stream(), CONFIG["learners"], 0)


PROBABILITIES = {  # of the nodes in rows 0 and 40 of `part(3)`, as they were when the files were written
    "plus": [[0.5019, 0.3323, 0.1658], [0.0193, 0.9807, 0.0]],
    "paper": [[0.2315, 0.1340, 0.6345], [0.0720, 0.9280, 0.0]],
}


@pytest.mark.parametrize("name", KINDS)
def test_a_saved_model_answers_as_it_did_and_learns_on(name):
    model = KINDS[name].load(SAMPLES / f"{name}.safetensors")
    assert model.labels == (0, 1, 2)
    np.testing.assert_allclose(model.predict_proba(part(3))[[0, 40]], PROBABILITIES[name], atol=1e-3)
    grown = part(4)
    assert model.add_classes(grown, {3: grown.ids[grown.y == 3][:5]}).labels == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (Mecoin, "paper", r"variant 'paper': read it with mecoin\.paper\.PaperModel\.load"),
        (PaperModel, "plus", r"variant 'mecoin\+': read it with mecoin\.Mecoin\.load"),
        (Mecoin, "codebook", "variant 'codebook': this version has no such variant; version 0.1.0 reads it"),
    ],
)
def test_a_model_of_another_variant_is_refused_with_what_reads_it(kind, name, message):
    with pytest.raises(ArtifactError, match=message):
        kind.load(SAMPLES / f"{name}.safetensors")


def test_a_saved_split_is_the_split_of_that_seed():
    held = Split.load(SAMPLES / "bench" / "split.json")
    assert held.digest == stream().split.digest
    assert (held.mode, held.way, held.shot, held.seed, len(held.sessions)) == ("inductive", 2, 3, 0, 3)


def test_a_finished_run_is_read_back_without_learning(tmp_path, monkeypatch):
    shutil.copytree(SAMPLES / "bench", tmp_path / "run")
    monkeypatch.setattr("mecoin.evaluation._compare.make_learner", lambda *_, **__: pytest.fail("it learnt anew"))
    with Run(tmp_path / "run", CONFIG) as run:
        assert run.resumed
        done = run_comparison(run, stream(), CONFIG["learners"], 0)
    assert [one.accuracy for one in done["SGC-NCM"].sessions] == [100.0, 97.36842105263158, 96.875]
    assert len(done["mecoin+"].sessions[2].predicted) == len(stream()[2].test)
