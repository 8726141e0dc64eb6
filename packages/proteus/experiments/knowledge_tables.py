"""Makes the shipped tables of knowledge from what their publishers offer.

    python -m proteus_experiments.knowledge_tables HGNC.tsv REACTOME.gmt RELATIONS.csv FOLDER

HGNC.tsv is HGNC's table of genes with approved symbols, names and UniProt accessions; REACTOME.gmt has pathways by gene
symbol; RELATIONS.csv is FamPlex's table of families and complexes.
"""

import csv
import sys
from pathlib import Path

import pandas as pd
from proteus import load_gmt

_FEWEST = 3  # genes of a set that is kept
_HGNC = {"symbol": "Approved symbol", "name": "Approved name", "accession": "UniProt ID(supplied by UniProt)"}


def genes(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """(accession, symbol, name of human proteins; earlier symbols to approved ones)."""
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    table = table[table["Status"] == "Approved"]
    earlier: dict[str, str] = {}
    for symbol, known in zip(table["Approved symbol"], table["Previous symbols"], strict=True):
        for one in filter(None, (part.strip() for part in known.split(","))):
            earlier.setdefault(one, symbol)
    for symbol in table["Approved symbol"]:
        earlier.pop(symbol, None)
    frame = table[list(_HGNC.values())].set_axis(list(_HGNC), axis=1)
    frame = frame.assign(accession=frame["accession"].str.split(r",\s*")).explode("accession")
    frame = frame[frame["accession"] != ""].drop_duplicates("accession").sort_values("accession")
    return frame[["accession", "symbol", "name"]].reset_index(drop=True), earlier


def pathways(path: Path, earlier: dict[str, str], known: set[str]) -> pd.DataFrame:
    """id, name and genes of Reactome's pathways, with today's symbols."""
    identifiers = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, identifier, *_ = line.split("\t")
        identifiers[name if name not in identifiers else f"{name} ({identifier})"] = identifier.split(".")[0]
    rows = []
    for name, members in load_gmt(path).items():
        current = sorted({earlier.get(one, one) for one in members} & known)
        if len(current) >= _FEWEST:
            identifier = identifiers[name]
            rows.append((identifier if identifier.startswith("R-") else f"R-HSA-{identifier}", name, current))
    return pd.DataFrame(rows, columns=["id", "name", "genes"])


def groups(path: Path, known: set[str]) -> pd.DataFrame:
    """kind (family, complex), name and genes of FamPlex's groups, their parts resolved to genes."""
    below: dict[str, list[tuple[str, str, str]]] = {}
    for space, one, relation, _, parent in csv.reader(path.open(encoding="utf-8")):
        below.setdefault(parent, []).append((space, one, relation))

    def leaves(name: str, seen: frozenset[str]) -> set[str]:
        found: set[str] = set()
        for space, one, _ in below.get(name, []):
            if space == "HGNC":
                found.add(one)
            elif space == "FPLX" and one not in seen:
                found |= leaves(one, seen | {one})
        return found & known

    rows = []
    for name, parts in below.items():
        members = leaves(name, frozenset({name}))
        kind = "family" if all(relation == "isa" for *_, relation in parts) else "complex"
        if len(members) >= (2 if kind == "family" else _FEWEST):
            rows.append((kind, name.replace("_", " "), sorted(members)))
    return pd.DataFrame(sorted(rows), columns=["kind", "name", "genes"])


def main() -> None:
    """Write the tables and print their sizes."""
    hgnc, reactome, relations, folder = map(Path, sys.argv[1:])
    proteins, earlier = genes(hgnc)
    known = set(proteins["symbol"])
    made = {"genes": proteins, "reactome": pathways(reactome, earlier, known), "groups": groups(relations, known)}
    for name, frame in made.items():
        path = folder / f"{name}.parquet"
        frame.to_parquet(path, compression="zstd", compression_level=19, index=False)
        print(f"{path.name}: {len(frame)} rows, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
