"""From a proteomics table to ranked, traceable hypotheses, offline and without a language model.

    import proteus

    data = proteus.load("proteinGroups.txt", samples="samples.csv")
    result = proteus.tl.moderated_test(proteus.normalise(data), "~ condition", "treated-control")
    result.hits()

Names are resolved on first use, so that importing the package stays light.

Examples:
    >>> import proteus
    >>> proteus.__version__.count(".")
    2
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from proteus import datasets as datasets
    from proteus import tl as tl
    from proteus.data._data import ProteomicsData as ProteomicsData
    from proteus.data._data import from_matrix as from_matrix
    from proteus.data._rollup import roll_up as roll_up
    from proteus.differential._moderated_test import TestResult as TestResult
    from proteus.differential._moderated_test import moderated_test as moderated_test
    from proteus.differential._normalise import normalise as normalise
    from proteus.differential._normalise import scale_to_reference as scale_to_reference
    from proteus.differential._profile import Profile as Profile
    from proteus.differential._profile import profile as profile
    from proteus.differential._replication import predict_replication as predict_replication
    from proteus.differential._replication import replicate as replicate
    from proteus.differential._replication import stack as stack
    from proteus.knowledge._box import name_proteins as name_proteins
    from proteus.knowledge._box import shipped_sets as shipped_sets
    from proteus.knowledge._network import Network as Network
    from proteus.loaders import add_symbols as add_symbols
    from proteus.loaders import load as load
    from proteus.loaders import load_gmt as load_gmt
    from proteus.loaders import load_network as load_network
    from proteus.loaders import sniff as sniff
    from proteus.record._objects import Asked as Asked
    from proteus.record._objects import Budget as Budget
    from proteus.record._objects import Hypothesis as Hypothesis
    from proteus.record._objects import Settings as Settings
    from proteus.statistics._error_control import benjamini_hochberg as benjamini_hochberg
    from proteus.statistics._error_control import control_families as control_families
    from proteus.study._steps import Steps as Steps
    from proteus.study._study import Report as Report
    from proteus.tools._registry import Output as Output
    from proteus.tools._registry import Params as Params
    from proteus.tools._registry import register_tool as register_tool
    from proteus.verification._kept import Study as Study
    from proteus.verification._scoring import score as score

    __version__: str

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "add_symbols": "loaders",
        "benjamini_hochberg": "statistics._error_control",
        "Asked": "record._objects",
        "Budget": "record._objects",
        "control_families": "statistics._error_control",
        "datasets": "datasets",
        "from_matrix": "data._data",
        "Hypothesis": "record._objects",
        "load": "loaders",
        "load_gmt": "loaders",
        "load_network": "loaders",
        "name_proteins": "knowledge._box",
        "moderated_test": "differential._moderated_test",
        "Network": "knowledge._network",
        "normalise": "differential._normalise",
        "Output": "tools._registry",
        "Params": "tools._registry",
        "predict_replication": "differential._replication",
        "Profile": "differential._profile",
        "profile": "differential._profile",
        "ProteomicsData": "data._data",
        "register_tool": "tools._registry",
        "replicate": "differential._replication",
        "Report": "study._study",
        "roll_up": "data._rollup",
        "scale_to_reference": "differential._normalise",
        "score": "verification._scoring",
        "Settings": "record._objects",
        "shipped_sets": "knowledge._box",
        "sniff": "loaders",
        "stack": "differential._replication",
        "Steps": "study._steps",
        "Study": "verification._kept",
        "TestResult": "differential._moderated_test",
        "tl": "tl",
    },
)
