"""How the data files of proteus are made of what their sources hold (`ninefold data get proteus`)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path


def proteome(sources: Sequence[Path]) -> bytes:
    """Protein groups by samples as float32, the samples under short names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    header, *rows = csv.reader(sources[0].read_text(encoding="utf-8").splitlines())
    table = {"protein_group": pa.array(header[1:], pa.large_string())}
    for name, *values in rows:
        numbers = [float(value) if value else None for value in values]
        table[f"S{int(name.removeprefix('Sample_')):03d}"] = pa.array(numbers, pa.float32())
    made = io.BytesIO()
    pq.write_table(
        pa.table(table).replace_schema_metadata({"pandas": _described(list(table))}), made, compression="zstd"
    )
    return made.getvalue()


def _described(names: list[str]) -> str:
    """What pandas writes about a table of texts and numbers."""
    columns = []
    for name in names:
        kinds = ("object", "str") if name == "protein_group" else ("float32", "float32")
        kind = dict(zip(("pandas_type", "numpy_type"), kinds, strict=True))
        columns.append({"name": name, "field_name": name, **kind, "metadata": None})
    return json.dumps({
        "index_columns": [], "column_indexes": [], "columns": columns, "attributes": {},
        "creator": {"library": "pyarrow", "version": "26.0.1"}, "pandas_version": "3.1.1",
    })  # fmt: skip


def samples(sources: Sequence[Path]) -> bytes:
    """Site and group of each sample; nothing else of the person."""
    meta, clinic = (list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) for path in sources)
    group = {row["Sample ID"]: "AD" if float(row["AD"]) else "control" for row in clinic}
    lines = [
        f"S{int(row['Sample ID'].removeprefix('Sample_')):03d},{row['_collection site']},{group[row['Sample ID']]}"
        for row in meta
        if row["Sample ID"] in group
    ]
    return "\n".join(["sample,site,group", *lines, ""]).encode()


def reactome(sources: Sequence[Path]) -> bytes:
    """Pathways as name, stable id, genes."""
    lines = []
    for line in sources[0].read_text(encoding="utf-8").splitlines():
        key, name, *genes = line.rstrip("\t").split("\t")
        lines.append("\t".join([name, key.split("%")[-1], *genes]))
    return "\n".join([*lines, ""]).encode()


def symbols(sources: Sequence[Path]) -> bytes:
    """Accessions with the first of their gene names."""
    lines = ["uniprot\tentry_name\tsymbol"]
    for line in sources[0].read_text(encoding="utf-8").splitlines()[1:]:
        accession, entry, names, *_ = [*line.split("\t"), "", ""]
        if names.strip():
            lines.append(f"{accession}\t{entry}\t{names.split()[0].rstrip(';')}")
    return "\n".join([*lines, ""]).encode()


def interactions(sources: Sequence[Path]) -> bytes:
    """Pairs of gene symbols, each once and in order; the second source maps accessions to symbols."""
    rows = (line.split("\t") for line in symbols(sources[1:]).decode().splitlines()[1:])
    names = {accession: symbol for accession, _, symbol in rows}
    pairs = set()
    for line in sources[0].read_text(encoding="utf-8").splitlines():
        both = sorted(names.get(one.split("-")[0], "") for one in line.split("\t")[:2])
        if both[0] and both[0] != both[1]:
            pairs.add("\t".join(both))
    return "\n".join(["a\tb", *sorted(pairs), ""]).encode()
