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
    from proteus import datasets, review, tl
    from proteus.data._data import ProteomicsData, from_matrix
    from proteus.data._rollup import roll_up
    from proteus.differential._moderated_test import TestResult, moderated_test
    from proteus.differential._normalise import normalise
    from proteus.differential._profile import Profile, profile
    from proteus.knowledge._network import Network
    from proteus.loaders import add_symbols, load, load_gaf, load_gmt, load_literature, load_network, load_obo, sniff
    from proteus.record._objects import Budget, Hypothesis
    from proteus.simulation._simulate import Simulation, learn, simulate
    from proteus.statistics._error_control import benjamini_hochberg, control_families, lord_plus_plus
    from proteus.study._study import Report, Study
    from proteus.tools._registry import Output, Params, register_tool
    from proteus.verification._scoring import score

    __version__: str

_WHERE = {
    "Budget": "record._objects",
    "Hypothesis": "record._objects",
    "Network": "knowledge._network",
    "Output": "tools._registry",
    "Params": "tools._registry",
    "Profile": "differential._profile",
    "ProteomicsData": "data._data",
    "Report": "study._study",
    "Simulation": "simulation._simulate",
    "Study": "study._study",
    "TestResult": "differential._moderated_test",
    "add_symbols": "loaders",
    "benjamini_hochberg": "statistics._error_control",
    "control_families": "statistics._error_control",
    "from_matrix": "data._data",
    "learn": "simulation._simulate",
    "load": "loaders",
    "load_gaf": "loaders",
    "load_gmt": "loaders",
    "load_literature": "loaders",
    "load_network": "loaders",
    "load_obo": "loaders",
    "lord_plus_plus": "statistics._error_control",
    "moderated_test": "differential._moderated_test",
    "normalise": "differential._normalise",
    "profile": "differential._profile",
    "register_tool": "tools._registry",
    "roll_up": "data._rollup",
    "score": "verification._scoring",
    "simulate": "simulation._simulate",
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
