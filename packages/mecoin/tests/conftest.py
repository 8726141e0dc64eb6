"""A small simulated stream and its encoders, shared by the tests of rivals."""

from __future__ import annotations

import pytest
from mecoin.encoders._gcn import GcnEncoder
from mecoin.encoders._sgc import SgcEncoder
from mecoin.sessions._stream import SessionStream
from ninefold_graphs import Simulated


@pytest.fixture(scope="session")
def stream():
    """Eight classes of a simulated graph: four base ones, then two sessions of two."""
    simulated = Simulated(classes=8, topics=4, largest=90, smallest=30, vocabulary=300, words=30, sharpness=0.25)
    return SessionStream(simulated.draw(0), base=4, way=2, shot=5, seed=0)


def fitted(encoder, session):
    graph = session.graph
    return encoder.fit(graph, graph.positions(session.train), graph.positions(session.validation), seed=0)


@pytest.fixture(scope="session")
def encoders(stream):
    """One fitted encoder of each kind, small and quick."""
    gcn = GcnEncoder(16)
    gcn.epochs = 60
    return {"gcn": fitted(gcn, stream[0]), "sgc": fitted(SgcEncoder(16), stream[0])}
