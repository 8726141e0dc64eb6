"""Add node classes to a graph model from a few labels each. Names are resolved on first use, so importing is light.

Examples:
    >>> import mecoin
    >>> mecoin.__version__.count(".")
    2
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from mecoin import baselines as baselines
    from mecoin import datasets as datasets
    from mecoin.datasets import Graph as Graph
    from mecoin.datasets import Simulated as Simulated
    from mecoin.datasets import from_pyg as from_pyg
    from mecoin.datasets import to_pyg as to_pyg
    from mecoin.encoders._encoder import Encoder as Encoder
    from mecoin.encoders._gcn import GcnEncoder as GcnEncoder
    from mecoin.encoders._sgc import SgcEncoder as SgcEncoder
    from mecoin.encoders._shared import shared_encoder as shared_encoder
    from mecoin.evaluation._audit import audit_learner as audit_learner
    from mecoin.evaluation._audit import audit_split as audit_split
    from mecoin.evaluation._compare import compare as compare
    from mecoin.evaluation._compare import result_table as result_table
    from mecoin.memory._mecoin import Mecoin as Mecoin
    from mecoin.protocol._learner import Learner as Learner
    from mecoin.protocol._run import run_stream as run_stream
    from mecoin.protocol._run import tuned as tuned
    from mecoin.protocol._run import tuning_stream as tuning_stream
    from mecoin.sessions._split import Split as Split
    from mecoin.sessions._stream import Session as Session
    from mecoin.sessions._stream import SessionStream as SessionStream

    __version__: str

_NAMES = {  # of each module
    "baselines": "baselines", "datasets": "datasets Graph Simulated from_pyg to_pyg", "encoders._encoder": "Encoder",
    "encoders._gcn": "GcnEncoder", "encoders._sgc": "SgcEncoder", "encoders._shared": "shared_encoder",
    "evaluation._audit": "audit_learner audit_split", "evaluation._compare": "compare result_table",
    "memory._mecoin": "Mecoin", "protocol._learner": "Learner", "protocol._run": "run_stream tuned tuning_stream",
    "sessions._split": "Split", "sessions._stream": "Session SessionStream",
}  # fmt: skip
__getattr__, __dir__, __all__ = attach(  # pyright: ignore[reportUnsupportedDunderAll]
    __name__, {name: module for module, names in _NAMES.items() for name in names.split()}
)
