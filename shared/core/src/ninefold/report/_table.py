"""Tables and other results as text for a terminal, Markdown, HTML and JSON."""

from __future__ import annotations

import dataclasses
import html
import io
import json
import math
import numbers
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Table:
    """Rows under named columns.

    Attributes:
        columns: headings, one per cell.
        rows: cells; floats are shown to four significant digits in text and in full in JSON.
        title: a line above it.
        notes: lines below it.

    Examples:
        >>> from ninefold.report import Table

        >>> table = Table(["model", "ndcg@10"], [["EASE", 0.41231], ["Popular", 0.2]], title="Test users")
        >>> print(table.to_markdown())
        | model | ndcg@10 |
        | --- | --- |
        | EASE | 0.4123 |
        | Popular | 0.2 |
        >>> table.to_dict()["rows"][0]
        {'model': 'EASE', 'ndcg@10': 0.41231}
    """

    columns: Sequence[str]
    rows: list[Sequence[Any]] = field(default_factory=list)
    title: str = ""
    notes: list[str] = field(default_factory=list)

    def to_terminal(self) -> str:
        """As aligned text, numbers to the right."""
        from rich import box
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        title = Text(self.title) if self.title else None
        grid = RichTable(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
        for index, column in enumerate(self.columns):
            numeric = bool(self.rows) and all(_is_number(row[index]) for row in self.rows)
            grid.add_column(Text(str(column)), justify="right" if numeric else "left", overflow="fold")
        for row in self.rows:
            grid.add_row(*(Text(cell_text(cell)) for cell in row))
        width = max(shutil.get_terminal_size((110, 24)).columns, 60)
        console = Console(file=io.StringIO(), width=width, highlight=False)
        console.print(grid)
        for note in self.notes:
            console.print(Text(note))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())

    def to_markdown(self) -> str:
        """As a GitHub table; pipes, backslashes and tags in cells are escaped."""
        lines = [_markdown_row(self.columns), "|" + " --- |" * len(self.columns)]
        lines += [_markdown_row(row) for row in self.rows]
        return "\n".join(lines + [f"\n{note}" for note in self.notes])

    def to_html(self) -> str:
        """As an HTML table, escaped."""
        head = "".join(f"<th>{html.escape(str(column))}</th>" for column in self.columns)
        body = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in self.rows)
        title = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in self.notes)
        grid = f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f'<div class="scroll" tabindex="0">{grid}</div>{notes}'

    def to_dict(self) -> dict[str, Any]:
        """As plain data: {title, rows: [{column: cell}], notes}."""
        rows = [dict(zip(map(str, self.columns), row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": self.notes}


def cell_text(value: Any) -> str:
    """One cell as people read it.

    Examples:
        >>> from ninefold.report import cell_text

        >>> [cell_text(one) for one in (0.123456, 1234567, True, None)]
        ['0.1235', '1,234,567', 'yes', '']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return cell_text(value.item()) if hasattr(value, "item") and value.shape == () else str(value)


def to_terminal(result: Any) -> str:
    """Text of a verb's result: a string, a dict (two columns), a Table, or a list of these.

    Examples:
        >>> from ninefold.report import to_terminal

        >>> print(to_terminal({"model": "EASE", "users": 1234}))
        model  EASE
        users  1,234
    """
    if isinstance(result, Table):
        return result.to_terminal()
    if dataclasses.is_dataclass(result):
        result = vars(result)
    if isinstance(result, Mapping):
        width = max((len(str(key)) for key in result), default=0)
        return "\n".join(f"{key!s:<{width}}  {cell_text(value)}" for key, value in result.items())
    if isinstance(result, (list, tuple)):
        return "\n\n".join(to_terminal(part) for part in result)
    return str(result)


def to_json(result: Any) -> str:
    """One JSON document of a verb's result; NaN and infinities become null, so that any parser reads it.

    Examples:
        >>> from ninefold.report import to_json

        >>> print(to_json({"score": 0.5, "best": float("inf")}))
        {
          "score": 0.5,
          "best": null
        }
    """
    return json.dumps(plain(result), indent=2, allow_nan=False)


def plain(value: Any) -> Any:
    """A result as JSON values: tables, dataclasses and arrays taken apart, NaN and infinities as null.

    Examples:
        >>> import numpy as np
        >>> from ninefold.report import plain

        >>> plain({"scores": np.array([0.5, 1.0]), "best": float("nan")})
        {'scores': [0.5, 1.0], 'best': None}
    """
    if isinstance(value, Table):
        return plain(value.to_dict())
    if dataclasses.is_dataclass(value):
        return plain(vars(value))
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, torch tensors
        return plain(value.tolist())
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _html_cell(cell: Any) -> str:
    return f'<td class="{"n" if _is_number(cell) else "t"}">{html.escape(cell_text(cell))}</td>'


def _markdown_row(cells: Iterable[Any]) -> str:
    texts = (" ".join(cell_text(cell).splitlines()) for cell in cells)
    return "| " + " | ".join(re.sub(r"([\\|<])", r"\\\1", text) for text in texts) + " |"
