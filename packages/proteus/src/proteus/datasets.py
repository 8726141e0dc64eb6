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
from ninefold.datasets import find
from ninefold.errors import ArtifactError

from proteus.data._data import ProteomicsData
from proteus.data._rollup import roll_up
from proteus.loaders import add_symbols, load

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


def hye124_precursors() -> ProteomicsData:
    """LFQbench HYE124 (Navarro 2016): precursors of single proteins with their `organism`, `group` A or B."""
    data = load(find("proteus", "hye124_skyline.tsv.gz"))
    organism = data.features["protein"].str.extract(r"_(HUMAN|YEAS8|YEAST|ECOLI)$", expand=False)
    kept = data.features["protein"].str.startswith("1/") & organism.notna()
    data, organism = data.take(features=kept.to_numpy()), organism[kept].replace("YEAST", "YEAS8")
    runs = [str(name).removesuffix(".mzML")[-3:] for name in data.samples.index]
    samples = pd.DataFrame(
        {"group": ["A" if run in ("007", "009", "011") else "B" for run in runs]}, index=data.samples.index
    )
    features = data.features.assign(organism=organism.to_numpy())
    return ProteomicsData(data.values, features, samples, "precursor", "log2", "skyline", data.notes)


def hye124() -> SpikeIn:
    """HYE124 as proteins, by median polish: A:B is 1:1 for human, 2:1 for yeast, 1:4 for E. coli."""
    proteins = roll_up(hye124_precursors(), "median_polish")
    kind = proteins.features["organism"].to_numpy()
    truth = np.select([kind == "YEAS8", kind == "ECOLI"], [1.0, -2.0], 0.0)
    return SpikeIn(proteins, "~ group", "A-B", truth, {"yeast": kind == "YEAS8", "E. coli": kind == "ECOLI"})


UPS1_YEAST = ("50Vs0.5", "50Vs5", "25Vs12.5")


def ups1_yeast(comparison: str) -> SpikeIn:
    """One of the comparisons `UPS1_YEAST` of Ramus et al. 2016: MaxQuant LFQ, 3 against 3 runs, A the higher amount."""
    frame = pd.read_csv(find("proteus", "ups1_yeast_lfq_three_ratios.csv.gz"))
    frame = frame[frame["comparison"] == comparison].reset_index(drop=True)
    columns = ["A1", "A2", "A3", "B1", "B2", "B3"]
    linear = frame[columns].to_numpy(float)
    values = np.where(linear > 0, np.log2(np.where(linear > 0, linear, 1)), np.nan)
    features = pd.DataFrame(
        {"n_peptides": frame["peptides"].to_numpy(), "species": frame["species"].to_numpy()},
        index=pd.Index(frame["majority_protein_ids"].astype(str), name="id"),
    )
    samples = pd.DataFrame({"group": list("AAABBB")}, index=pd.Index(columns, name="sample"))
    high, low = (float(part) for part in comparison.split("Vs"))
    ups = (frame["species"] == "UPS").to_numpy()
    data = ProteomicsData(values, features, samples, "protein", "log2", "maxquant")
    return SpikeIn(data, "~ group", "A-B", np.where(ups, np.log2(high / low), 0.0), {"UPS": ups})


def ubi_length() -> ProteomicsData:
    """Ubiquitin-chain interactomes (Zhang 2017): proteinGroups, four conditions in three replicates."""
    return load(find("proteus", "ubilength_proteinGroups.txt.gz"), find("proteus", "ubilength_samples.csv"))


def csf() -> ProteomicsData:
    """CSF of Alzheimer patients and controls at four sites (Bader 2020), 1,542 protein groups x 210, with symbols."""
    data = load(find("proteus", "csf_proteome.parquet"), find("proteus", "csf_samples.csv"))
    return add_symbols(data, find("proteus", "knowledge/uniprot_human_symbols_2018-03.tsv.gz"))


def acc_rppa() -> ProteomicsData:
    """Adrenocortical tumours (TCGA), 33 RPPA proteins x 46, with follow-up `time_days` and `event`."""
    return load(find("proteus", "acc_rppa.csv"), find("proteus", "acc_samples.csv"))


def bcr_xl() -> tuple[ProteomicsData, pd.DataFrame]:
    """Mass cytometry of stimulated blood (Bodenmiller 2012), counts, 4 donors x 2; and the panel's classes."""
    panel = pd.read_csv(find("proteus", "cytof_pbmc_panel.csv"))
    return load(find("proteus", "cytof_pbmc_bcrxl_cells.parquet")), panel
