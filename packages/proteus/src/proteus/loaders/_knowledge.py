"""Knowledge files that users bring: gene sets (GMT), symbols, networks."""

import re
from pathlib import Path

from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.knowledge._network import Network
from proteus.loaders._table import decode, need, read_bytes, read_table


def load_gmt(path: str | Path) -> dict[str, list[str]]:
    """Gene sets: name, description, genes, tab-separated; repeated names take the description too, empty ones go.

    Examples:
        >>> from pathlib import Path
        >>> from proteus import load_gmt
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "sets.gmt"
        ...     _ = file.write_text("Glycolysis\\tR-HSA-70171\\tPKM\\tALDOA\\n")
        ...     load_gmt(file)
        {'Glycolysis': ['PKM', 'ALDOA']}
    """
    sets: dict[str, list[str]] = {}
    for number, line in enumerate(decode(read_bytes(Path(path))).split("\n"), 1):
        if not line.strip():
            continue
        name, *rest = line.split("\t")
        genes = list(dict.fromkeys(gene.strip() for gene in rest[1:] if gene.strip()))
        if len(rest) < 1:
            raise InputError(
                "gene set", got=repr(line[:60]), expected="name, description, genes", where=f"{path}, line {number}"
            )
        if not genes:  # Reactome has pathways whose members are all of another organism
            continue
        if name in sets:  # Reactome has different pathways of one name: the description tells them apart
            name = f"{name} ({rest[0]})"
            if name in sets:
                raise InputError("gene set", got=f"{name!r} twice", where=f"{path}, line {number}")
        sets[name] = genes
    return sets


def add_symbols(data: ProteomicsData, mapping: str | Path) -> ProteomicsData:
    """Give features their gene symbols from a two- or three-column file whose first column is the accession.

    The first accession of a group that the file knows is taken, isoform suffix aside; the last column is the symbol.
    A feature that the file does not know keeps the gene name it has.

    Examples:
        >>> from pathlib import Path
        >>> from proteus import ProteomicsData, add_symbols
        >>> from tempfile import TemporaryDirectory
        >>> import pandas as pd
        >>> data = ProteomicsData([[20.0]], pd.DataFrame(index=["P14618"]), pd.DataFrame(index=["run"]))
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "symbols.tsv"
        ...     _ = file.write_text("accession\\tsymbol\\nP14618\\tPKM\\n")
        ...     add_symbols(data, file).genes.tolist()
        ['PKM']
    """
    table = read_table(Path(mapping))
    symbols = dict(zip(need(table, table.columns[0]), need(table, table.columns[-1]), strict=True))
    names = data.features["protein"] if "protein" in data.features else data.features.index.to_series()

    def symbol(group: str) -> str:
        parts = [part.split("|")[1] if part.count("|") == 2 else part for part in str(group).split(";")]
        return next((symbols[one] for one in (part.split("-")[0].strip() for part in parts) if one in symbols), "")

    found = names.map(symbol)
    notes = list(data.notes)
    if "gene" in data.features:
        before = data.features["gene"].fillna("").astype(str)
        kept = (found == "") & (before != "")
        found = found.where(~kept, before)
        if kept.any():
            words = "kept the gene name they had: the table of symbols does not know them"
            notes.append(f"{int(kept.sum())} features {words}")
    notes.append(f"{(found != '').mean():.0%} of the features have a gene symbol")
    features = data.features.assign(gene=found.to_numpy())
    return ProteomicsData(data.values, features, data.samples, data.level, data.scale, data.source, notes)


def load_network(path: str | Path) -> Network:
    """An edge list: the first two columns are gene symbols.

    A header is not needed: a first line that names genes of further lines, or holds a number, is an edge, too.

    Examples:
        >>> from pathlib import Path
        >>> from proteus import load_network
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "edges.tsv"
        ...     _ = file.write_text("a\\tb\\nPKM\\tALDOA\\n")
        ...     sorted(load_network(file).nodes)
        ['ALDOA', 'PKM']
    """
    table = read_table(Path(path))
    head = table.columns
    first, second = (need(table, name).tolist() for name in head[:2])
    scored = any(re.fullmatch(r"[0-9.]+", name) for name in head[2:])
    if scored or not {*head[:2]}.isdisjoint([*first, *second]):
        first, second = [head[0], *first], [head[1], *second]
    return Network.from_pairs(first, second)
