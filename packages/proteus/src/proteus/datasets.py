"""Data sets: the embedded default, and benchmark sets found under `NINEFOLD_DATA`.

Examples:
    >>> from proteus import datasets
    >>> datasets.ups1_peptides().shape[1]
    12
"""

import gzip
import hashlib
import io
from dataclasses import dataclass
from importlib import resources

import numpy as np
import pandas as pd
from ninefold.errors import ArtifactError

from proteus.data._data import ProteomicsData

_UPS1 = "ups1_chlamydomonas_peptides.csv.gz"
_UPS1_SHA256 = "006dfefa9eeb16c9813c14d2e302a0326fd0d47be8b4dcbc233ee83fde87b0a9"


@dataclass(frozen=True)
class SpikeIn:
    """A table whose truth is known.

    Attributes:
        data: the table; samples have a `group`.
        design, contrast: of the comparison.
        truth: (P,) true log2 ratio; 0 for the background.
        truth_groups: name of each kind of true feature to its (P,) mask.
    """

    data: ProteomicsData
    design: str
    contrast: str
    truth: np.ndarray
    truth_groups: dict[str, np.ndarray]


def ups1_peptides() -> ProteomicsData:
    """The embedded default: UPS1 peptides at 25, 50 and 100 fmol, four runs each, in a constant Chlamydomonas lysate.

    10,599 peptides x 12 runs, log2; `features.species` is UPS or CHLRE, `samples.group` is fmol25, fmol50, fmol100.
    From the R package baldur (P. Berg, MIT licence); see `embedded/LICENSE-ups1.txt`.
    """
    file = resources.files("proteus") / "embedded" / _UPS1
    packed = file.read_bytes()
    if hashlib.sha256(packed).hexdigest() != _UPS1_SHA256:
        raise ArtifactError(str(file), "is damaged: reinstall the package")
    frame = pd.read_csv(io.BytesIO(gzip.decompress(packed)))
    columns = [name for name in frame if str(name).startswith("fmol")]
    parts = frame["identifier"].str.rsplit("--", n=1)
    features = pd.DataFrame(
        {
            "protein": parts.str[0].to_numpy(),
            "sequence": parts.str[1].to_numpy(),
            "species": frame["species"].to_numpy(),
        },
        index=pd.Index(frame["identifier"], name="id"),
    )
    samples = pd.DataFrame(
        {"group": [str(name).rsplit("_", 1)[0] for name in columns]}, index=pd.Index(columns, name="sample")
    )
    linear = frame[columns].to_numpy(float)
    values = np.where(linear > 0, np.log2(np.where(linear > 0, linear, 1)), np.nan)
    return ProteomicsData(values, features, samples, "peptide", "log2", "embedded UPS1 set")


def ups1_spike_in(high: int, low: int) -> SpikeIn:
    """One comparison of the embedded set, e.g. `ups1_spike_in(100, 25)`: truth log2(high/low) for UPS, else 0."""
    data = ups1_peptides()
    kept = data.samples["group"].isin([f"fmol{high}", f"fmol{low}"]).to_numpy()
    data = data.take(samples=kept)
    ups = data.features["species"].str.contains("UPS").to_numpy()
    truth = np.where(ups, np.log2(high / low), 0.0)
    return SpikeIn(data, "~ group", f"fmol{high}-fmol{low}", truth, {"UPS": ups})
