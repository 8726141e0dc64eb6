"""Knowledge files that users bring: gene sets (GMT), annotations (GAF), symbols, networks, or a folder of them."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from ninefold.errors import ArtifactError, InputError

from proteus.data._data import ProteomicsData
from proteus.knowledge._box import symbol_of
from proteus.knowledge._network import Network
from proteus.loaders._table import decode, need, read_bytes, read_table

_SYMBOLS, _LINKS = re.compile(r"(?i)symbols?|genes|mapping"), re.compile(r"(?i)network|interact|edges|links|ppi")
_ASIDE = re.compile(r"(?i)^(?:\.|readme|licen[cs]e|provenance)")
_GAF_COLUMNS = 15


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
    return name_genes(data, load_symbols(mapping))


def load_symbols(path: str | Path) -> dict[str, str]:
    """Gene symbol by accession: the last column of a table by its first."""
    table = read_table(Path(path))
    return dict(zip(need(table, table.columns[0]), need(table, table.columns[-1]), strict=True))


def name_genes(data: ProteomicsData, symbols: dict[str, str]) -> ProteomicsData:
    """See `add_symbols`; `symbols` by accession."""
    names = data.features["protein"] if "protein" in data.features else data.features.index.to_series()
    found = names.map(lambda group: symbol_of(str(group), symbols))
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


def load_gaf(path: str | Path, ontology: str | Path | None = None) -> dict[str, list[str]]:
    """Gene sets of a GO annotation file (GAF 2): genes by term, annotations with NOT left out.

    Args:
        path: GAF file, plain or gzip.
        ontology: OBO file; terms then have names, and a gene of a term is in the terms above it, too.
    Raises:
        InputError: for a line with fewer than 15 columns, which is no GAF.
    """
    names, above = _terms(Path(ontology)) if ontology is not None else ({}, {})
    found: dict[str, set[str]] = {}
    for number, line in enumerate(decode(read_bytes(Path(path))).splitlines(), 1):
        if not line.strip() or line.startswith("!"):
            continue
        parts = line.split("\t")
        if len(parts) < _GAF_COLUMNS:
            got = f"{len(parts)} columns"
            raise InputError("annotation", got=got, expected="15 or more, as GAF 2 has", where=f"{path}, line {number}")
        if "NOT" in parts[3].upper().split("|"):
            continue
        for term in _with_above(parts[4], above):
            found.setdefault(term, set()).add(parts[2])
    return {f"{names[term]} ({term})" if term in names else term: sorted(genes) for term, genes in found.items()}


def _terms(path: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """(name by term, terms above by term) of an OBO file."""
    names: dict[str, str] = {}
    above: dict[str, list[str]] = {}
    term = ""
    for line in decode(read_bytes(path)).splitlines():
        key, _, value = line.partition(": ")
        if line.startswith("["):
            term = ""
        elif key == "id":
            term = value.strip()
        elif key == "name" and term:
            names[term] = value.strip()
        elif key == "is_a" and term:
            above.setdefault(term, []).append(value.split("!")[0].split("{")[0].strip())
    return names, above


def _with_above(term: str, above: dict[str, list[str]]) -> set[str]:
    found, left = {term}, [term]
    while left:
        left = [one for name in left for one in above.get(name, []) if one not in found]
        found.update(left)
    return found


@dataclass
class Given:
    """What a folder of knowledge holds.

    Attributes:
        sets: genes by name. network: interactions. symbols: gene symbol by accession.
        reactome: whether a file named `reactome...` replaces the shipped pathways.
    """

    sets: dict[str, list[str]] = field(default_factory=dict)
    network: Network | None = None
    symbols: dict[str, str] = field(default_factory=dict)
    reactome: bool = False


def load_knowledge(folder: str | Path) -> Given:
    """All files of a folder: gene sets (`.gmt`), annotations (`.gaf`, with the names of a `.obo`), symbols by accession
    (a table with `symbols` in its name), interactions (a table with `network` or `interactions` in its name).

    Raises:
        ArtifactError: for no folder. InputError: for a file of another kind, or none.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ArtifactError(root, "is not a folder of knowledge files")
    made, pairs = Given(), ([], [])
    files = [one for one in sorted(root.iterdir()) if one.is_file() and not _ASIDE.match(one.name)]
    ontology = next((one for one in files if ".obo" in one.suffixes), None)
    for path in files:
        kinds = {one.lower() for one in path.suffixes}
        if ".gmt" in kinds:
            made.sets |= load_gmt(path)
            made.reactome |= path.name.lower().startswith("reactome")
        elif ".gaf" in kinds:
            made.sets |= load_gaf(path, ontology)
        elif path == ontology:
            continue
        elif kinds & {".tsv", ".csv", ".txt", ".parquet"} and _SYMBOLS.search(path.name):
            made.symbols |= load_symbols(path)
        elif kinds & {".tsv", ".csv", ".txt", ".parquet"} and _LINKS.search(path.name):
            links = load_network(path)
            for side, column in zip(pairs, links.edges.T, strict=True):
                side.extend(links.nodes[one] for one in column)
        else:
            known = "*.gmt, *.gaf, *.obo, a table with `symbols`, or with `network` or `interactions`, in its name"
            raise InputError("knowledge", got=path.name, expected=known, where=root)
    if pairs[0]:
        made.network = Network.from_pairs(*pairs)
    if not (made.sets or made.symbols or made.network):
        raise InputError("knowledge", got="no file of a known kind", expected="*.gmt, *.gaf or tables", where=root)
    return made
