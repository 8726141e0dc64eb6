"""Affinity panels and repositories: Olink NPX, SomaScan adat, CPTAC's TMT ratios, mzTab."""

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
from ninefold.errors import ArtifactError, InputError

from proteus.loaders._raw import Raw
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
