"""Tables that a user names: a file of any format, a folder that `save` wrote, or several files as cohorts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.differential._replication import stack
from proteus.knowledge._box import name_proteins, shipped_sets
from proteus.knowledge._network import Network
from proteus.loaders._knowledge import Given, add_symbols, load_gmt, load_knowledge, load_network, name_genes
from proteus.loaders._load import load
from proteus.loaders._samples import attach, read_samples


def open_table(
    path: Path, samples: Path | None = None, form: str = "auto", *, peptides: bool = False, join: bool = False
) -> ProteomicsData:  # fmt: skip
    """The table of a file, or of a folder that `ProteomicsData.save` wrote, with its sample sheet.

    Args:
        path: file or folder. samples: sheet, if any. form, peptides: of a file; see `load`. join: levels of
        the sheet that differ only by case or blanks.
    """
    if not path.is_dir():
        return load(path, samples, form, peptides, join)
    data = ProteomicsData.open(path)
    return attach(data, read_samples(samples, join=join), samples) if samples else data


def open_cohorts(
    paths: Sequence[Path],
    cohort: str,
    samples: Path | None = None,
    form: str = "auto",
    *,
    peptides: bool = False,
    join: bool = False,
) -> ProteomicsData:
    """Several tables as one, each a cohort named after its file; `samples` names the samples of all.

    Args:
        paths: files or folders. cohort: column to make. samples, form, peptides, join: see `open_table`.
    """
    names = [one.name.split(".")[0] for one in paths]
    names = names if len(set(names)) == len(names) else list(map(str, paths))
    tables = [open_table(one, None, form, peptides=peptides) for one in paths]
    made = stack(list(zip(names, tables, strict=True)), cohort)
    return made if samples is None else attach(made, read_samples(samples, join=join), samples)


def check_reference(plex: str | None, reference: str | None, tables: int = 1) -> None:
    """Refuse a plex column without reference channels, the reverse, and both where there are several tables."""
    if plex is not None and tables > 1:
        raise InputError("--plex", got="several tables", expected="one: scale each to its reference before")
    if (plex is None) != (reference is None):
        raise InputError("--plex, --reference", got="one of them", expected="both: the plexes, and the channels")


def known_things(
    data: ProteomicsData, folder: str | None, sets: Path | None, network: Path | None, symbols: Path | None
) -> tuple[ProteomicsData, dict[str, list[str]] | None, Network | None]:
    """(table with gene symbols and protein names, gene sets, interactions) from what is shipped and what is given.

    Args:
        data: table.
        folder: folder of knowledge files that extend what is shipped; `none` leaves what is shipped out.
        sets, network, symbols: files that replace what is shipped of their kind.
    """
    given = Given() if folder in (None, "none") else load_knowledge(folder)
    if symbols is not None:
        data = add_symbols(data, symbols)
    elif given.symbols:
        data = name_genes(data, given.symbols)
    if folder != "none":
        data = name_proteins(data)
    links = given.network if network is None else load_network(network)
    if sets is not None:
        return data, {**given.sets, **load_gmt(sets)}, links
    if folder == "none":
        return data, None, links
    return data, shipped_sets(data, given.sets, reactome=not given.reactome), links
