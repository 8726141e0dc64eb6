"""Files of each format that is read. `write` made them; a new format is sampled likewise."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from mecoin import Graph, Mecoin, SessionStream, Simulated, Split, compare
from mecoin.encoders._gcn import GcnEncoder
from mecoin.paper import PaperModel
from ninefold.errors import ArtifactError

from .small import masks

SAMPLES = Path(__file__).parent / "samples"
KINDS = {"plus": Mecoin, "paper": PaperModel}
LEARNERS = ["mecoin+", "SGC-NCM"]
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
    compare(stream(), LEARNERS, out=folder / "bench")


PROBABILITIES = {  # of the nodes in rows 0 and 40 of `part(3)`, as they were when the files were written
    "plus": [[0.5147, 0.0, 0.4853], [0.0, 1.0, 0.0]],
    "paper": [[0.3321, 0.1894, 0.4786], [0.0827, 0.9171, 0.0002]],
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
        (Mecoin, "plus-0.1.0", "an older version, with settings that this one has not; fit it anew"),
        (PaperModel, "paper-0.1.0", "an older version, with settings that this one has not; fit it anew"),
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
    done = compare(stream(), LEARNERS, out=tmp_path / "run")
    assert [one.accuracy for one in done["SGC-NCM"].sessions] == [100.0, 97.36842105263158, 96.875]
    assert len(done["mecoin+"].sessions[2].predicted) == len(stream()[2].test)
