"""From a proteomics table to ranked, traceable hypotheses, offline and without a language model.

    import proteus

    data = proteus.load("proteinGroups.txt", samples="samples.csv")
    result = proteus.tl.moderated_test(proteus.normalise(data), "~ condition", "treated-control")
    result.hits()

Names are resolved on first use, so that importing the package stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import datasets, review, tl
    from ._data import ProteomicsData, from_matrix
    from ._error_control import benjamini_hochberg, control_families, lord_plus_plus
    from ._moderated_test import TestResult, moderated_test
    from ._network import Network
    from ._normalise import normalise
    from ._objects import Budget, Hypothesis
    from ._profile import Profile, profile
    from ._registry import Output, Params, register_tool
    from ._rollup import roll_up
    from ._scoring import score
    from ._simulate import Simulation, learn, simulate
    from ._study import Report, Study
    from .loaders import add_symbols, load, load_gaf, load_gmt, load_literature, load_network, load_obo, sniff

    __version__: str

_WHERE = {
    "Budget": "_objects",
    "Hypothesis": "_objects",
    "Network": "_network",
    "Output": "_registry",
    "Params": "_registry",
    "Profile": "_profile",
    "ProteomicsData": "_data",
    "Report": "_study",
    "Simulation": "_simulate",
    "Study": "_study",
    "TestResult": "_moderated_test",
    "add_symbols": "loaders",
    "benjamini_hochberg": "_error_control",
    "control_families": "_error_control",
    "from_matrix": "_data",
    "learn": "_simulate",
    "load": "loaders",
    "load_gaf": "loaders",
    "load_gmt": "loaders",
    "load_literature": "loaders",
    "load_network": "loaders",
    "load_obo": "loaders",
    "lord_plus_plus": "_error_control",
    "moderated_test": "_moderated_test",
    "normalise": "_normalise",
    "profile": "_profile",
    "register_tool": "_registry",
    "roll_up": "_rollup",
    "score": "_scoring",
    "simulate": "_simulate",
    "sniff": "loaders",
}
_MODULES = ("datasets", "review", "tl")

__all__ = [
    "Budget", "Hypothesis", "Network", "Output", "Params", "Profile", "ProteomicsData", "Report", "Simulation", "Study",
    "TestResult", "__version__", "add_symbols", "benjamini_hochberg", "control_families", "datasets", "from_matrix",
    "learn", "load", "load_gaf", "load_gmt", "load_literature", "load_network", "load_obo", "lord_plus_plus",
    "moderated_test", "normalise", "profile", "register_tool", "review", "roll_up", "score", "simulate", "sniff", "tl",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from ninefold.errors import version_of

        return version_of("proteus")
    if name in _MODULES:
        return importlib.import_module(f"proteus.{name}")
    if name in _WHERE:
        return getattr(importlib.import_module(f"proteus.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'proteus' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
