"""Add node classes to a graph model from a few labels each. Names are resolved on first use, so importing is light."""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from mecoin import baselines as baselines
    from mecoin import datasets as datasets
    from mecoin.evaluation._audit import audit_learner as audit_learner
    from mecoin.evaluation._audit import audit_split as audit_split
    from mecoin.evaluation._protocol import run_stream as run_stream
    from mecoin.graphs._graph import Graph as Graph
    from mecoin.graphs._pyg import from_pyg as from_pyg
    from mecoin.graphs._pyg import to_pyg as to_pyg
    from mecoin.graphs._simulator import Simulated as Simulated
    from mecoin.memory._mecoin import Mecoin as Mecoin
    from mecoin.sessions._split import Split as Split
    from mecoin.sessions._stream import Session as Session
    from mecoin.sessions._stream import SessionStream as SessionStream

    __version__: str

__getattr__, __dir__, __all__ = attach(  # pyright: ignore[reportUnsupportedDunderAll]
    __name__,
    {
        "Graph": "graphs._graph",
        "Mecoin": "memory._mecoin",
        "Session": "sessions._stream",
        "SessionStream": "sessions._stream",
        "Simulated": "graphs._simulator",
        "Split": "sessions._split",
        "audit_learner": "evaluation._audit",
        "audit_split": "evaluation._audit",
        "baselines": "baselines",
        "datasets": "datasets",
        "from_pyg": "graphs._pyg",
        "run_stream": "evaluation._protocol",
        "to_pyg": "graphs._pyg",
    },
)
