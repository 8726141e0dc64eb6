# ruff: noqa: E501  (a row of a layout is a line)
# ruff: noqa: PERF401  (a row of a layout is a line)
"""What layouts are made of: runs, proteins and numbers, and the register of those that tests read."""

from collections.abc import Callable

import numpy as np
import pandas as pd

RUNS = ["ctl_1", "ctl_2", "drug_1", "drug_2"]
COUNT = 14
RNG = np.random.default_rng(8)
TRUTH = np.round(2 ** (RNG.normal(24, 2, (COUNT, 1)) + RNG.normal(0, 0.3, (COUNT, 4))), 1)
LOGS = np.round(np.log2(TRUTH), 5)
ACCESSIONS = [f"P{10000 + 7 * one}" for one in range(COUNT)]
GENES = [f"GENE{one}" for one in range(COUNT)]
PEPTIDES = [f"AC{'DEFGHIKLMNPQST'[one]}VLK" for one in range(COUNT)]
PLACES = [3 + 11 * one for one in range(COUNT)]
COUNTS = np.arange(COUNT) % 9 + 1
CHANNELS = ["126", "127N", "127C", "128N"]
LAYOUTS: dict[str, tuple[Callable[[], pd.DataFrame], dict]] = {}


def layout(name: str, **expected):
    """Registers what makes a table; `ids`, `names`, `values` (log2), `level` of what is expected, or `refused`."""

    def keep(make):
        LAYOUTS[name] = (make, expected)
        return make

    return keep


def wide(pattern: str, numbers=TRUTH, runs=RUNS) -> dict[str, np.ndarray]:
    return {pattern.format(run): numbers[:, place] for place, run in enumerate(runs)}


def long(columns: dict, runs=RUNS, numbers=TRUTH) -> pd.DataFrame:
    """A row for each feature in each run; values may be functions of (feature, run)."""
    rows = []
    for feature in range(COUNT):
        for run in range(len(runs)):
            rows.append({name: one(feature, run) for name, one in columns.items()})
    return pd.DataFrame(rows)


def msstats(value, **changes) -> pd.DataFrame:
    return long({
        "ProteinName": lambda f, r: ACCESSIONS[f], "PeptideSequence": lambda f, r: PEPTIDES[f], "PrecursorCharge": lambda f, r: 2,
        "FragmentIon": lambda f, r: "NA", "ProductCharge": lambda f, r: "NA", "IsotopeLabelType": lambda f, r: "L",
        "Condition": lambda f, r: RUNS[r][:3], "BioReplicate": lambda f, r: r + 1, "Run": lambda f, r: RUNS[r], "Intensity": value,
        **changes,
    })  # fmt: skip
