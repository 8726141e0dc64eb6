"""Knowledge files that users bring: gene sets (GMT), ontologies (OBO), annotations (GAF), networks."""

import re
from collections import defaultdict
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


def load_literature(folder: str | Path) -> dict[str, str]:
    """Abstracts: each `.txt` file of a folder (gzip too) is one, by its name.

    Raises:
        InputError: if it is no folder, or holds no such file.

    Examples:
        >>> from pathlib import Path
        >>> from proteus import load_literature
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "pmid1.txt").write_text("PKM rises in AD.")
        ...     load_literature(folder)
        {'pmid1': 'PKM rises in AD.'}
    """
    place = Path(folder)
    if not place.is_dir():
        raise InputError("literature", got=f"{place}, no folder", expected="a folder of abstracts, one .txt file each")
    files = sorted(one for one in place.iterdir() if one.name.endswith((".txt", ".txt.gz")))
    if not files:
        raise InputError("literature", got=f"no .txt file in {place}", expected="one file for each abstract")
    return {one.name.removesuffix(".gz").removesuffix(".txt"): decode(read_bytes(one)) for one in files}


def load_obo(path: str | Path) -> dict[str, dict[str, str | list[str]]]:
    """Terms of an OBO ontology by id: name, namespace, parents (is_a and part_of); obsolete ones left out.

    Examples:
        >>> from pathlib import Path
        >>> from proteus import load_obo
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "go.obo"
        ...     _ = file.write_text("[Term]\\nid: GO:1\\nname: binding\\nnamespace: molecular_function\\n")
        ...     load_obo(file)["GO:1"]["name"]
        'binding'
    """
    terms: dict[str, dict[str, str | list[str]]] = {}
    for block in decode(read_bytes(Path(path))).split("\n\n"):
        lines = block.strip().split("\n")
        if lines[0] != "[Term]" or "is_obsolete: true" in lines:
            continue
        fields: dict[str, str | list[str]] = {"parents": []}
        parents: list[str] = []
        for line in lines[1:]:
            key, _, value = line.partition(": ")
            value = value.split(" ! ")[0].strip()
            if key in ("id", "name", "namespace"):
                fields[key] = value
            elif key == "is_a":
                parents.append(value)
            elif key == "relationship" and value.startswith("part_of "):
                parents.append(value.removeprefix("part_of "))
        if "id" not in fields:
            raise InputError("ontology term", got="one without an id", where=path)
        fields["parents"] = parents
        terms[str(fields["id"])] = fields
    if not terms:
        raise InputError("ontology", got="no [Term]", expected="an OBO file", where=path)
    return terms


def load_gaf(path: str | Path, terms: dict[str, dict[str, str | list[str]]] | None = None) -> dict[str, list[str]]:
    """Gene sets from a GAF 2.x annotation: term to symbols; NOT annotations left out.

    With `terms` (see `load_obo`) each annotation also counts for the term's ancestors, and sets carry the terms' names.

    Examples:
        >>> from pathlib import Path
        >>> from proteus import load_gaf
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "go.gaf"
        ...     line = "UniProtKB\\tP1\\tPKM\\t\\tGO:1" + 10 * "\\t"
        ...     _ = file.write_text(line)
        ...     load_gaf(file)
        {'GO:1': ['PKM']}
    """
    direct: dict[str, set[str]] = defaultdict(set)
    for number, line in enumerate(decode(read_bytes(Path(path))).split("\n"), 1):
        if not line.strip() or line.startswith("!"):
            continue
        cells = line.split("\t")
        if len(cells) < 15:
            raise InputError("GAF", got=f"{len(cells)} columns", expected="15 to 17", where=f"{path}, line {number}")
        if "NOT" not in cells[3].split("|"):
            direct[cells[4]].add(cells[2])
    if terms is None:
        return {term: sorted(genes) for term, genes in direct.items()}
    spread: dict[str, set[str]] = defaultdict(set)
    for term, genes in direct.items():
        for ancestor in _ancestors(term, terms):
            spread[ancestor] |= genes
    return {f"{terms[term]['name']} ({term})": sorted(genes) for term, genes in spread.items() if term in terms}


def _ancestors(term: str, terms: dict[str, dict[str, str | list[str]]]) -> set[str]:
    seen, queue = set(), [term]
    while queue:
        one = queue.pop()
        if one not in seen:
            seen.add(one)
            queue += terms.get(one, {}).get("parents", [])
    return seen


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
