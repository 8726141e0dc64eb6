"""The registered tools as a table."""

from __future__ import annotations

from ninefold.report import Table

from proteus.tools._registry import tools


def tool_table() -> Table:
    """What planners can call: parameters, tables that are read and written, and what a tool needs."""
    table = Table(["tool", "does", "parameters", "reads", "tables", "needs", "may carry A/B"], title="Tools")
    for one in tools().values():
        card = one.card()
        columns = [", ".join(card.params.get("properties", {})), ", ".join(card.reads), ", ".join(card.tables)]
        table.rows.append([one.name, one.summary, *columns, ", ".join(card.requires), "yes" if one.confirms else "no"])
    return table
