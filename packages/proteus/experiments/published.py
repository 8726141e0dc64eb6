"""The published sets that claims, benchmarks and tests read: found in NINEFOLD_DATA, as they cannot all be shipped."""

import numpy as np
import pandas as pd
from ninefold.datasets import find
from proteus import ProteomicsData, add_symbols, load, roll_up
from proteus.datasets import SpikeIn


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
