"""The `proteus` command's app, and the groups of options that its verbs share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import house_app, run_app

if TYPE_CHECKING:
    from proteus.data._data import ProteomicsData
    from proteus.llm._client import Client
    from proteus.study._study import Study

app = house_app(
    "proteus", "From a proteomics table to **ranked, traceable results**, offline. Start with `proteus demo`."
)
main = run_app(app)


def option(name: str, help: str, *more: str, **rules: Any) -> Any:  # noqa: A002  (typer's word)
    """An option of a verb."""
    return typer.Option(name, *more, help=help, **rules)


Data = Annotated[Path, typer.Argument(help="Table of any supported format, or a folder that `save` wrote.")]
Design = Annotated[str | None, option("--design", "Formula over the sheet's columns, e.g. '~ site + group'.")]
Contrast = Annotated[str | None, option("--contrast", "Groups to compare, e.g. 'AD-control'.")]
_REFERENCE = "TMT: COLUMN=LEVEL of the reference channels, e.g. group=pool."
_POLICY = "schema-only, aggregate or full; must be said for another machine."
_TIMEOUT = "Seconds without a byte after which a model's call has hung."
Top = Annotated[int, option("--top", "Rows to print.", min=1)]


@dataclass(frozen=True)
class Reading:
    """How a table is read: its sheet, its format, its reference channels."""

    samples: Annotated[Path | None, option("--samples", "Sample sheet: CSV, TSV or SDRF.", "-s")] = None
    form: Annotated[str, option("--format", "`auto`, or a format's name (see README).")] = "auto"
    peptides: Annotated[bool, option("--peptides", "Keep precursors as rows (limited proteolysis).")] = False
    plex: Annotated[str | None, option("--plex", "TMT: column of plexes, for --reference.")] = None
    reference: Annotated[str | None, option("--reference", _REFERENCE)] = None

    def read(self, path: Path, *others: Path, cohort: str = "") -> ProteomicsData:
        """The table with its sheet, scaled to its reference channels if given; several are cohorts of one table."""
        from proteus import scale_to_reference
        from proteus.loaders._given import check_reference, open_cohorts, open_table

        check_reference(self.plex, self.reference, 1 + len(others))
        if others:
            return open_cohorts([path, *others], cohort, self.samples, self.form, peptides=self.peptides)
        data = open_table(path, self.samples, self.form, peptides=self.peptides)
        if self.plex is None or self.reference is None:
            return data
        return scale_to_reference(data, self.plex, self.reference)


@dataclass(frozen=True)
class Known:
    """What is known beside the table."""

    sets: Annotated[Path | None, option("--sets", "Gene sets (GMT).")] = None
    network: Annotated[Path | None, option("--network", "Interactions: two columns of symbols.")] = None
    symbols: Annotated[Path | None, option("--symbols", "Accession-to-symbol table.")] = None
    panel: Annotated[Path | None, option("--panel", "Cytometry: markers and their class.")] = None

    def study(self, table: ProteomicsData) -> Study:
        """A study of the table."""
        from proteus import Study, add_symbols, load_gmt, load_network
        from proteus.loaders import read_panel

        return Study(
            add_symbols(table, self.symbols) if self.symbols else table,
            sets=load_gmt(self.sets) if self.sets else None,
            network=load_network(self.network) if self.network else None,
            markers=read_panel(self.panel) if self.panel else None,
        )


@dataclass(frozen=True)
class Server:
    """A model's server, what it is sent, and what it may cost."""

    base_url: Annotated[str | None, option("--base-url", "OpenAI-compatible server; no default.")] = None
    model: Annotated[str | None, option("--model", "Its model.")] = None
    data_policy: Annotated[str | None, option("--data-policy", _POLICY)] = None
    budget_usd: Annotated[float | None, option("--budget-usd", "Money for the model.", min=0)] = None
    budget_tokens: Annotated[int | None, option("--budget-tokens", "Tokens for the model.", min=0)] = None
    usd_in: Annotated[float | None, option("--usd-in", "Price of a million prompt tokens.", min=0)] = None
    usd_out: Annotated[float | None, option("--usd-out", "Price of a million answer tokens.", min=0)] = None
    timeout: Annotated[float, option("--timeout", _TIMEOUT, min=0.1)] = 120.0

    def client(self, out: Path, what: str) -> Client:
        """The client, its calls recorded in the run at `out`."""
        from proteus.llm._opening import open_client

        return open_client(out, what, **vars(self))
