"""What the command line says of a file of events: one set of options for every verb that reads one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.errors import InputError

if TYPE_CHECKING:
    from recsys.data._dataset import Dataset


def _option(flag: str, text: str) -> Any:
    return typer.Option(flag, help=text, rich_help_panel="Events")


Events = Annotated[Path, typer.Argument(help="Events: a .csv, .tsv (also .gz) or .parquet file with a header.")]
TimeUnit = Annotated[
    str | None,
    _option(
        "--time-unit", 'Unit of numeric times (s, ms, us, ns or index), or format of others, such as "%d/%m/%Y %H:%M".'
    ),
]


_NOT_OF_FRAMES = ("events", "form", "clicks")


@dataclass(frozen=True)
class Source:
    """A file of events, and how it is read; see `Dataset.from_frame`."""

    events: Events
    user: Annotated[str, _option("--user", "Column of user ids.")] = "user"
    item: Annotated[str, _option("--item", "Column of item ids.")] = "item"
    value: Annotated[str | None, _option("--value", "Column of ratings, counts or labels.")] = None
    time: Annotated[str | None, _option("--time", "Column of times.")] = None
    context: Annotated[
        list[str] | None, _option("--context", "Column about the event, such as a scene; repeatable.")
    ] = None
    users: Annotated[Path | None, _option("--users", "Table about users, with their ids.")] = None
    items: Annotated[Path | None, _option("--items", "Table about items, with their ids.")] = None
    ties: Annotated[Path | None, _option("--ties", "Table of ties: user, user and, optionally, weight.")] = None
    directed: Annotated[bool, _option("--directed", "Ties are one-way: the first user follows the second.")] = False
    form: Annotated[str | None, _option("--form", "Published format of EVENTS: movielens.")] = None
    time_unit: TimeUnit = None
    duplicates: Annotated[
        str, _option("--duplicates", "Policy for repeated pairs: keep, distinct, sum, last or error.")
    ] = "keep"
    nulls: Annotated[str, _option("--nulls", "Policy for rows without an id: error or drop.")] = "error"
    scale: Annotated[tuple[float, float] | None, _option("--scale", "Least and greatest value allowed.")] = None
    clicks: Annotated[
        bool, _option("--clicks", "Treat events as clicks; --value only excludes those of 0 or less.")
    ] = False

    def load(self, events: Path | None = None) -> Dataset:
        """The events of the file, or of another one that is read in the same way."""
        path = events or self.events
        if self.form is not None:  # it says itself what its columns are
            from recsys.loaders import movielens

            if self.form != "movielens":
                raise InputError("--form", got=repr(self.form), expected="movielens")
            data = movielens(path)
            return data.clicks() if self.clicks else data
        from recsys import Dataset

        options: dict[str, Any] = {name: one for name, one in vars(self).items() if name not in _NOT_OF_FRAMES}
        options["context"] = self.context or []
        try:
            data = Dataset.from_frame(path, **options)
        except InputError as error:
            if error.got != "no such column" or error.hint:
                raise
            hint = "name yours: --user, --item, --value and --time take a column each"
            raise InputError(error.what, where=error.where, got=error.got, expected=error.expected, hint=hint) from None
        return data.clicks() if self.clicks else data


@dataclass(frozen=True)
class OwnSource(Source):
    """A source that may be left out, where a verb has data of its own."""

    events: Annotated[  # pyright: ignore[reportIncompatibleVariableOverride]
        Path | None, typer.Argument(help="Events; the embedded purchases if none are given.")
    ] = None
