"""Affinity panels and repositories: Olink NPX, SomaScan adat, CPTAC's TMT ratios, mzTab."""

import io
import re
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ninefold.errors import ArtifactError, InputError

from proteus.loaders._raw import Raw, pivot
from proteus.loaders._samples import numbered_groups, typed
from proteus.loaders._table import Table, decode, need, numbers, read_bytes, text

_CONTROL = re.compile(r"(?i)^(?:control_sample|negative.?control|plate.?control|sample.?control|inter.?plate.?control)")


def read_olink(table: Table) -> Raw:
    """Assays by samples, NPX (log2). Rows with a QC warning are kept and counted."""
    table = _without_controls(table)
    samples, assay = need(table, "SampleID"), need(table, "OlinkID")
    values = numbers(table, ["NPX"])[:, 0]
    notes = list(table.notes)
    warned = text(table, "QC_Warning", "SampleQC")
    if warned is not None:
        bad = ~warned.str.lower().isin(["pass", ""])
        if bad.any():
            notes.append(f"{int(bad.sum())} values carry a QC warning and were kept")
    frame = pd.DataFrame({"sample": samples, "assay": assay, "npx": values})
    doubled = frame.duplicated(["sample", "assay"])
    if doubled.any():
        row = frame[doubled].iloc[0]
        raise InputError(
            "NPX", got=f"two values of {row['assay']} in {row['sample']}", expected="one", where=table.path,
            hint="a bridging sample of two projects? bring them to one scale first, and keep one of its rows",
        )  # fmt: skip
    wide = frame.pivot(index="assay", columns="sample", values="npx")
    first = table.frame.groupby(assay).first().reindex(wide.index)
    features = {"gene": first["Assay"] if "Assay" in first else pd.Series(wide.index, index=wide.index)}
    if "UniProt" in first:
        features["protein"] = first["UniProt"]
    features = {name: column.reset_index(drop=True) for name, column in features.items()}
    names = [str(name) for name in wide.columns]
    return Raw(wide.to_numpy(float), pd.Series(wide.index), names, features, scale="log2", notes=notes)


def _without_controls(table: Table) -> Table:
    """Explore and HT: rows of control samples and of control assays are left out."""
    kind, assay = text(table, "SampleType", "Sample_Type"), text(table, "AssayType", "Assay_Type")
    keep = ~need(table, "SampleID").str.match(_CONTROL).to_numpy()
    for column, wanted in ((kind, ("sample", "")), (assay, ("assay", ""))):
        if column is not None:
            keep &= column.str.lower().isin(wanted).to_numpy()
    notes = [*table.notes, *[f"{int((~keep).sum())} rows of control samples and assays left out"] * (not keep.all())]
    return Table(table.frame[keep].reset_index(drop=True), table.path, notes, table.known)


def read_adat(path: Path) -> Raw:
    """SomaScan: aptamers by samples, RFU; buffer and calibrator samples are left out.

    After ^TABLE_BEGIN come rows of aptamer annotation, then the header of sample annotation, then samples; aptamer
    columns begin after an empty column.
    """
    lines = decode(read_bytes(path)).split("\n")
    begin = next((place for place, line in enumerate(lines) if line.startswith("^TABLE_BEGIN")), None)
    if begin is None:
        raise ArtifactError(path, "has no ^TABLE_BEGIN: a truncated adat file?")
    cells = [line.split("\t") for line in lines[begin + 1 :] if line.strip()]
    head = next((place for place, row in enumerate(cells) if row[0] not in ("", None) and row[0].strip()), None)
    if head is None or head == 0:
        raise ArtifactError(path, "has no table of samples after ^TABLE_BEGIN")
    label = next(place for place, cell in enumerate(cells[0]) if cell.strip())
    width = max(map(len, cells))
    rows = [row + [""] * (width - len(row)) for row in cells]
    annotation = {row[label].strip(): row[label + 1 :] for row in rows[:head]}
    columns = [name for name in rows[head][:label] if name.strip()]
    sheet = pd.DataFrame([row[: len(columns)] for row in rows[head + 1 :]], columns=columns)
    values = pd.DataFrame([row[label + 1 :] for row in rows[head + 1 :]]).apply(pd.to_numeric, errors="coerce")
    notes = []
    if "SampleType" in sheet:
        kept = (sheet["SampleType"].str.lower() == "sample").to_numpy()
        if kept.any() and not kept.all():
            notes.append(f"{int((~kept).sum())} buffer, calibrator or control samples left out")
            sheet, values = sheet[kept].reset_index(drop=True), values[kept]
    count = values.shape[1]

    def column(*names: str) -> pd.Series | None:
        return next((pd.Series(annotation[name][:count]) for name in names if name in annotation), None)

    ids = column("SeqId", "SeqID")
    if ids is None:
        raise ArtifactError(path, "has no SeqId row in its table")
    known = {"gene": column("EntrezGeneSymbol"), "protein": column("UniProt"), "description": column("TargetFullName")}
    features = {name: one for name, one in known.items() if one is not None}
    name = next((one for one in ("SampleId", "SampleDescription", "Barcode") if one in sheet), columns[0])
    names = sheet[name].astype(str).tolist()
    if len(set(names)) < len(names):
        names = [f"{one}_{place + 1}" for place, one in enumerate(names)]
        notes.append(f"{name} is not unique: the row number was added")
    sheet, more = numbered_groups(sheet.apply(typed).set_axis(pd.Index(names, name="sample")))
    notes += more
    return Raw(values.to_numpy(float).T, ids, names, features, sheet=sheet, notes=notes)


def is_mztab(head: str) -> bool:
    """Whether the first lines are mzTab's."""
    return head.startswith("MTD\tmzTab") or "\nMTD\tmzTab" in head


def read_mztab(path: Path) -> Raw:
    """Protein section of mzTab 1.0 (or, without one, its peptide section): abundances by assay, else study variable."""
    sections: dict[str, list[str]] = {}
    metadata: dict[str, str] = {}
    for line in decode(read_bytes(path)).split("\n"):
        kind, _, rest = line.partition("\t")
        if kind == "MTD":
            key, _, value = rest.partition("\t")
            metadata[key.strip()] = value.strip()
        elif kind in ("PRH", "PRT", "PEH", "PEP"):
            sections.setdefault(kind, []).append(rest)
    header, rows, level = ("PRH", "PRT", "protein") if "PRT" in sections else ("PEH", "PEP", "peptide")
    if header not in sections or rows not in sections:
        raise InputError("mzTab", got="no protein and no peptide rows", where=path)
    frame = pd.read_csv(
        io.StringIO("\n".join(sections[header] + sections[rows])), sep="\t", dtype=str, keep_default_na=False
    )
    table = Table(frame, path)
    for what in ("assay", "study_variable"):
        pattern = re.compile(rf"{level}_abundance_{what}\[(\d+)\]$")
        found = {name: match[1] for name in table.columns if (match := pattern.match(name))}
        if not found:
            continue
        values = numbers(table, list(found))
        if np.isnan(values).all():
            continue
        names = [_name(metadata, what, number) for number in found.values()]
        ids = need(table, "accession") if level == "protein" else need(table, "sequence")
        features = {"protein": need(table, "accession")}
        if "description" in frame:
            features["description"] = frame["description"]
            gene = frame["description"].str.extract(r"GN=(\S+)", expand=False)
            if gene.notna().any():
                features["gene"] = gene.fillna("")
        return Raw(values, ids, names, features, "protein" if level == "protein" else "peptide", notes=table.notes)
    raise InputError("mzTab", got="no abundance column", expected=f"{level}_abundance_assay[1] ...", where=path)


def _name(metadata: dict[str, str], what: str, number: str) -> str:
    if what == "assay":
        run = metadata.get(f"assay[{number}]-ms_run_ref", "").strip("ms_run[]")
        location = metadata.get(f"ms_run[{run}]-location", "")
        if location and location != "null":
            return Path(location.replace("\\", "/")).stem
    described = metadata.get(f"{what}[{number}]-description", "")
    return described or f"{what}_{number}"


def is_olink_wide(cells: Sequence[Sequence[str]]) -> bool:
    """Whether the first cells of the first rows are those of NPX Manager's wide export (Olink Target 48 and 96)."""
    first = {row[0].strip().lower() for row in cells[:12] if row}
    return {"assay", "olinkid"} <= first


def read_olink_wide(path: Path, cells: Sequence[Sequence[str]]) -> Raw:
    """NPX Manager's wide export: rows of assay, UniProt and OlinkID, then a row a sample, then limits of detection.

    Raises:
        InputError: naming a cell that is no number, or an assay that is there twice.
    """
    head = {row[0].strip().lower(): list(row) for row in cells[:12] if row and row[0].strip()}
    begin = 1 + next(place for place, row in enumerate(cells) if row and row[0].strip().lower() == "olinkid")
    ids = head["olinkid"]
    columns = [place for place, one in enumerate(ids) if place and re.fullmatch(r"OID\d+", one.strip())]
    if len(columns) < 2:
        raise InputError("OlinkID", got=f"{len(columns)} assays", expected="one in each column of values", where=path)
    kept, left = [], 0
    for number, row in enumerate(cells[begin:], begin + 1):
        name = row[0].strip() if row else ""
        if not name and not any(cell.strip() for cell in row):
            continue
        if re.match(r"(?i)(?:lod|max lod|missing data|normalization)", name) or (name and _CONTROL.match(name)):
            left += 1
            continue
        kept.append((number, row))
    values = np.full((len(columns), len(kept)), np.nan)
    for place, (number, row) in enumerate(kept):
        for assay, column in enumerate(columns):
            text = row[column].strip().replace(",", ".") if column < len(row) else ""
            try:
                values[assay, place] = float(text) if text.lower() not in ("", "na", "nan", "no data") else np.nan
            except ValueError:
                raise InputError(f"assay {ids[column]!r}", got=repr(text), expected="a number",
                                 where=f"{path}, row {number}") from None  # fmt: skip
    told = [(key, head[row]) for key, row in (("gene", "assay"), ("protein", "uniprot id")) if row in head]
    told += [("protein", head["uniprot"])] if "uniprot" in head else []
    features = {key: pd.Series([row[column].strip() for column in columns]) for key, row in told}
    names = [row[0].strip() for _, row in kept]
    notes = [f"{left} rows of limits of detection and controls left out"] * bool(left)
    warned = [place for place, one in enumerate(head.get("assay", ids)) if one.strip().lower() == "qc warning"]
    bad = sum(
        any(place < len(row) and row[place].strip().lower() not in ("pass", "") for place in warned) for _, row in kept
    )
    notes += [f"{bad} samples carry a QC warning and were kept"] * bool(bad)
    return Raw(values, pd.Series([ids[one].strip() for one in columns]), names, features, scale="log2", notes=notes)


def is_progenesis(cells: Sequence[Sequence[str]]) -> bool:
    """Whether the first rows are those of Progenesis QI: blocks of abundances over the header."""
    said = {cell.strip().lower() for row in cells[:1] for cell in row}
    return bool({"normalized abundance", "raw abundance"} & said) and len(cells) > 3


def read_progenesis(path: Path, cells: Sequence[Sequence[str]]) -> Raw:
    """Progenesis QI for proteomics: the block of normalised abundances, with the conditions over its runs."""
    top, conditions, header = ([cell.strip() for cell in row] for row in cells[:3])
    width = len(header)
    starts = {cell.lower(): place for place, cell in enumerate(top) if cell}
    wanted = "normalized abundance" if "normalized abundance" in starts else "raw abundance"
    begin = starts[wanted]
    end = min([place for place in starts.values() if place > begin], default=width)
    columns = [place for place in range(begin, min(end, width)) if header[place]]
    rows = [[*row, *[""] * (width - len(row))] for row in cells[3:] if any(cell.strip() for cell in row)]
    names = {name.lower(): place for place, name in enumerate(header[:begin])}
    first = names.get("accession", 0)
    frame = pd.DataFrame({header[place]: [row[place] for row in rows] for place in columns})
    values = numbers(Table(frame, path), [str(one) for one in frame])
    groups, current = [], ""
    for place in range(begin, max(columns) + 1):
        current = (conditions[place] if place < len(conditions) else "") or current
        groups += [current] * (place in columns)
    runs = [header[place] for place in columns]
    sheet = pd.DataFrame({"condition": groups}, index=pd.Index(runs, name="sample")) if all(groups) else None
    ids = pd.Series([row[first].strip() for row in rows])
    features = {"protein": ids.str.split(";").str[0]}
    if "description" in names:
        features["description"] = pd.Series([row[names["description"]].strip() for row in rows])
    for name in ("unique peptides", "peptide count"):
        if name in names and "n_peptides" not in features:
            counts = pd.to_numeric(pd.Series([row[names[name]] for row in rows]), errors="coerce")
            features["n_peptides"] = counts
    return Raw(values, ids, runs, features, sheet=sheet, notes=[f"quantities: {wanted}"])


def is_quantms(columns: Collection[str]) -> bool:
    """Whether columns are those of a feature file of quantms (parquet): intensities as lists in one column."""
    return "intensities" in columns and bool({"peptidoform", "sequence"} & set(columns))


def read_quantms(table: Table) -> Raw:
    """quantms `feature.parquet`: a row for each feature of a run, its intensities by sample and channel in one cell."""
    frame = table.frame
    if "is_decoy" in frame:
        frame = frame[~frame["is_decoy"].astype(str).str.lower().isin(["1", "1.0", "true"])]
    notes = [*table.notes, *[f"{len(table.frame) - len(frame)} decoys left out"] * (len(frame) < len(table.frame))]
    if "pg_global_qvalue" in frame:
        good = ~(pd.to_numeric(frame["pg_global_qvalue"], errors="coerce") > 0.01)
        notes += [f"{int((~good).sum())} rows with pg_global_qvalue above 0.01 left out"] * (not good.all())
        frame = frame[good]
    sequence = frame["peptidoform" if "peptidoform" in frame else "sequence"].astype(str)
    charge = next((frame[name].astype(str) for name in ("precursor_charge", "charge") if name in frame), None)
    ids = sequence if charge is None else sequence + "/" + charge
    proteins = next(frame[name] for name in ("pg_accessions", "protein_accessions", "anchor_protein") if name in frame)
    run = frame["reference_file_name"].astype(str) if "reference_file_name" in frame else pd.Series("", frame.index)
    rows = []
    for name, protein, file, cell in zip(ids, proteins, run, frame["intensities"], strict=True):
        group = ";".join(map(str, protein)) if isinstance(protein, (list, tuple, np.ndarray)) else str(protein)
        for one in cell if cell is not None else []:
            sample, channel = str(one.get("sample_accession") or file), str(one.get("channel") or "")
            rows.append((name, group, sample, channel, float(one["intensity"])))
    long = pd.DataFrame(rows, columns=["id", "protein", "sample", "channel", "intensity"])
    if long.empty:
        raise InputError("intensities", got="none", expected="a list in each row", where=table.path)
    if long.groupby("sample")["channel"].nunique().max() > 1:
        long["sample"] = long["sample"] + " " + long["channel"]
    values, names, runs, kept, _ = pivot(long["id"], long["sample"], long["intensity"].to_numpy(float),
                                         {"protein": long["protein"]}, add=True)  # fmt: skip
    return Raw(values, names, runs, kept, "precursor", notes=[*notes, "quantities: intensities"])
