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
    "proteus", "Turn a proteomics table into **tested, graded hypotheses**, offline. Start with `proteus demo`."
)
main = run_app(app)


def option(name: str, help: str, *more: str, **rules: Any) -> Any:  # noqa: A002  (typer's word)
    """An option of a verb."""
    return typer.Option(name, *more, help=help, **rules)


def advanced(name: str, help: str, **rules: Any) -> Any:  # noqa: A002  (typer's word)
    """An option that most people never need."""
    return typer.Option(name, help=help, rich_help_panel="Advanced", **rules)


Data = Annotated[Path, typer.Argument(help="Proteomics table in any supported format, or a folder written by `save`.")]
Design = Annotated[
    str | None, option("--design", "Linear model over columns of the sample sheet, e.g. '~ site + group'.")
]
Contrast = Annotated[str | None, option("--contrast", "Groups to compare, e.g. 'AD-control' for AD minus control.")]
_KNOWLEDGE = (
    "Folder of gene sets (GMT, GAF), a symbol map and interactions that extend the shipped Reactome and HGNC; "
    "`none` leaves these out."
)
_ASSAY = "Kind of assay for alternatives and experiments: pull-down, plasma, CSF, spike-in, TMT, tissue or unknown."
_YES = "Join levels of the sample sheet that differ only by case or blanks, such as ctl and CTL."
_REFERENCE = "Reference channels of TMT plexes as COLUMN=LEVEL, e.g. group=pool."
_POLICY = "What the model may see: schema-only, aggregate or full. Required for a remote server."
_TIMEOUT = "Seconds without data after which a call to the model is abandoned."
Top = Annotated[int, option("--top", "Number of rows to print.", min=1)]


@dataclass(frozen=True)
class Reading:
    """How a table is read: its sheet, its format, its reference channels."""

    samples: Annotated[
        Path | None, option("--samples", "Sample sheet with one row per sample: CSV, TSV, Excel or SDRF.", "-s")
    ] = None
    form: Annotated[
        str, advanced("--format", "Format of the table: `auto` (detected from its content) or a name from the guide.")
    ] = "auto"
    peptides: Annotated[
        bool, advanced("--peptides", "Test precursors instead of proteins, as limited proteolysis needs.")
    ] = False
    yes: Annotated[bool, option("--yes", _YES)] = False
    plex: Annotated[
        str | None, advanced("--plex", "Column of TMT plexes, to scale each plex to its --reference channels.")
    ] = None
    reference: Annotated[str | None, advanced("--reference", _REFERENCE)] = None

    def read(self, path: Path, *others: Path, cohort: str = "") -> ProteomicsData:
        """The table with its sheet, scaled to its reference channels if given; several are cohorts of one table."""
        from proteus import scale_to_reference
        from proteus.loaders._given import check_reference, open_cohorts, open_table

        check_reference(self.plex, self.reference, 1 + len(others))
        if others:
            return open_cohorts([path, *others], cohort, self.samples, self.form, peptides=self.peptides, join=self.yes)
        data = open_table(path, self.samples, self.form, peptides=self.peptides, join=self.yes)
        if self.plex is None or self.reference is None:
            return data
        return scale_to_reference(data, self.plex, self.reference)


@dataclass(frozen=True)
class Known:
    """Knowledge that goes with the table."""

    sets: Annotated[Path | None, option("--sets", "Gene sets to test, a GMT file such as Reactome's.")] = None
    network: Annotated[
        Path | None, option("--network", "Protein interactions, a table with two columns of gene symbols.")
    ] = None
    symbols: Annotated[Path | None, option("--symbols", "Table that maps UniProt accessions to gene symbols.")] = None
    knowledge: Annotated[str | None, advanced("--knowledge", _KNOWLEDGE)] = None
    assay: Annotated[str | None, advanced("--assay", _ASSAY)] = None
    panel: Annotated[Path | None, advanced("--panel", "Table of cytometry markers and their class, type or state.")] = (
        None
    )

    def study(self, table: ProteomicsData) -> Study:
        """A study of the table, with the shipped knowledge unless options replace it."""
        from proteus import Study
        from proteus.loaders import read_panel
        from proteus.loaders._given import known_things

        table, sets, network = known_things(table, self.knowledge, self.sets, self.network, self.symbols)
        markers = read_panel(self.panel) if self.panel else None
        return Study(table, sets=sets, network=network, markers=markers, assay=self.assay)


@dataclass(frozen=True)
class Server:
    """A model's server, what it is sent, and what it may cost."""

    base_url: Annotated[
        str | None, advanced("--base-url", "Address of an OpenAI-compatible server, e.g. http://localhost:8000/v1.")
    ] = None
    model: Annotated[str | None, advanced("--model", "Name of the model on the server.")] = None
    data_policy: Annotated[str | None, advanced("--data-policy", _POLICY)] = None
    budget_usd: Annotated[
        float | None, advanced("--budget-usd", "Most money to spend on the model, in US dollars.", min=0)
    ] = None
    budget_tokens: Annotated[int | None, advanced("--budget-tokens", "Most tokens to spend on the model.", min=0)] = (
        None
    )
    usd_in: Annotated[float | None, advanced("--usd-in", "Price of a million prompt tokens, in US dollars.", min=0)] = (
        None
    )
    usd_out: Annotated[
        float | None, advanced("--usd-out", "Price of a million answer tokens, in US dollars.", min=0)
    ] = None
    timeout: Annotated[float, advanced("--timeout", _TIMEOUT, min=0.1)] = 120.0

    def client(self, out: Path, what: str) -> Client:
        """The client, its calls recorded in the run at `out`."""
        from proteus.llm._opening import open_client

        return open_client(out, what, **vars(self))
