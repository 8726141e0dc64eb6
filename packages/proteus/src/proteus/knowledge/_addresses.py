"""Addresses of proteins and pathways in public databases, made from their identifiers; nothing is requested."""

import re
from collections.abc import Sequence
from urllib.parse import quote

from proteus.knowledge._box import accessions_of, box

_ACCESSION = re.compile(r"^(?:[OPQ]\d[A-Z\d]{3}\d|[A-NR-Z]\d(?:[A-Z][A-Z\d]{2}\d){1,2})$")
_HUMAN = 9606


def of_protein(symbol: str, row: str = "") -> list[tuple[str, str]]:
    """(database, address) of a protein, as far as its identifiers lead.

    Args:
        symbol: gene symbol.
        row: identifier of its row, which may hold UniProt accessions.
    """
    known = box()
    accession = next((one for one in accessions_of(row) if _ACCESSION.match(one)), known.accessions.get(symbol, ""))
    made = [("UniProt", f"https://www.uniprot.org/uniprotkb/{accession}")] if accession else []
    if symbol in known.names:
        made.append(("STRING", f"https://string-db.org/network/{_HUMAN}/{quote(symbol)}"))
        made.append(("Open Targets", f"https://platform.opentargets.org/search?q={quote(symbol)}"))
    return made


def of_set(name: str, members: Sequence[str]) -> list[tuple[str, str]]:
    """(database, address) of a pathway, and of the network of its members."""
    known = box()
    made = []
    if name in known.identifiers:
        made.append(("Reactome", f"https://reactome.org/content/detail/{known.identifiers[name]}"))
    human = [one for one in members if one in known.names]
    if len(human) > 1:
        listed = quote("\r".join(human))
        made.append(("STRING", f"https://string-db.org/cgi/network?identifiers={listed}&species={_HUMAN}"))
    return made
