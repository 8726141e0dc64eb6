"""What the command line says of a file of events: one set of options for every verb that reads one."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from recsys.data._dataset import Dataset

_PANEL = "Events"
Events = Annotated[Path, typer.Argument(help="Events: a .csv, .tsv (also .gz) or .parquet file with a header.")]
User = Annotated[str, typer.Option("--user", help="Column of user ids.", rich_help_panel=_PANEL)]
Item = Annotated[str, typer.Option("--item", help="Column of item ids.", rich_help_panel=_PANEL)]
Value = Annotated[
    str | None, typer.Option("--value", help="Column of ratings, counts or labels.", rich_help_panel=_PANEL)
]
Time = Annotated[str | None, typer.Option("--time", help="Column of times.", rich_help_panel=_PANEL)]
Context = Annotated[
    list[str] | None,
    typer.Option("--context", help="Column about the event; may be given again.", rich_help_panel=_PANEL),
]
Users = Annotated[Path | None, typer.Option("--users", help="Table about users.", rich_help_panel=_PANEL)]
Items = Annotated[Path | None, typer.Option("--items", help="Table about items.", rich_help_panel=_PANEL)]
Form = Annotated[
    str | None,
    typer.Option("--form", help="Published form of EVENTS, e.g. movielens, otto, dst.", rich_help_panel=_PANEL),
]
TimeUnit = Annotated[
    str | None,
    typer.Option("--time-unit", help="Of numeric times: s, ms, us, ns or index.", rich_help_panel=_PANEL),
]
Duplicates = Annotated[
    str,
    typer.Option("--duplicates", help="Pairs that occur again: keep, sum, last or error.", rich_help_panel=_PANEL),
]
Nulls = Annotated[str, typer.Option("--nulls", help="Rows without an id: error or drop.", rich_help_panel=_PANEL)]
Clicks = Annotated[
    bool,
    typer.Option(
        "--clicks", help="Take events as clicks; --value only says which are none (0 or less).", rich_help_panel=_PANEL
    ),
]
Scale = Annotated[
    tuple[float, float] | None,
    typer.Option("--scale", help="Least and greatest value allowed.", rich_help_panel=_PANEL),
]


@dataclass(frozen=True)
class Source:
    """A file of events, and how it is read; see `Dataset.from_frame`."""

    events: Events  # None where a verb has data of its own
    user: User = "user"
    item: Item = "item"
    value: Value = None
    time: Time = None
    context: Context = None
    users: Users = None
    items: Items = None
    form: Form = None
    time_unit: TimeUnit = None
    duplicates: Duplicates = "keep"
    nulls: Nulls = "error"
    scale: Scale = None
    clicks: Clicks = False

    def load(self, events: Path | None = None) -> Dataset:
        """The events of the file, or of another one that is read in the same way."""
        path = events or self.events
        if self.form is not None:  # it says itself what its columns are
            from recsys.loaders import load_published

            data = load_published(self.form, path)
            return data.clicks() if self.clicks else data
        from recsys import Dataset

        data = Dataset.from_frame(
            path, user=self.user, item=self.item, value=self.value, time=self.time, context=self.context or [],
            users=self.users, items=self.items, duplicates=self.duplicates, nulls=self.nulls, scale=self.scale,
            time_unit=self.time_unit,
        )  # fmt: skip
        return data.clicks() if self.clicks else data


def with_source(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options of `Source`; it takes them as `source`. A parameter `events` of its own comes first."""
    parameters = inspect.signature(function).parameters
    written = {name: one.annotation for name, one in parameters.items() if name not in ("source", "opts")}
    own_types = typing.get_type_hints(
        types.SimpleNamespace(__annotations__=written), function.__globals__, include_extras=True
    )
    own = [parameters[name].replace(annotation=one) for name, one in own_types.items() if name != "events"]
    options = typing.get_type_hints(Source, include_extras=True)
    read = [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if one.name == "events" else one.default,
            annotation=options[one.name],
        )
        for one in fields(Source)
    ]
    if "events" in parameters:
        read[0] = parameters["events"].replace(annotation=own_types["events"], kind=inspect.Parameter.KEYWORD_ONLY)

    @functools.wraps(function)
    def call(**values: Any) -> Any:
        source = Source(**{one.name: values.pop(one.name) for one in fields(Source)})
        return function(source=source, **values)

    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    given = [parameters["opts"]] if "opts" in parameters else []
    call.__signature__ = inspect.Signature([read[0], *own, *read[1:], *given])  # type: ignore[attr-defined]
    return call
