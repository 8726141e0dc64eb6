"""Results as people want them: tables (`_table`), the house style of figures (`_figure`), pages (`_page`).

Examples:
    >>> from ninefold.report import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, figure

    >>> made, axes = figure()
    >>> bars = axes.bar(["ours", "rival", "chance"], [91, 88, 50], color=[BLUE, ORANGE, GREY])
    >>> len({BLUE, ORANGE, GREEN, RED, PURPLE, GREY})
    6
"""

from ninefold.report._figure import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, figure, figure_html, save_figure
from ninefold.report._page import glossary, html_page, paragraph
from ninefold.report._table import Table, cell_text, plain, to_json, to_terminal

__all__ = [
    "BLUE", "GREEN", "GREY", "ORANGE", "PURPLE", "RED", "Table", "cell_text", "figure", "figure_html", "glossary",
    "html_page", "paragraph", "plain", "save_figure", "to_json", "to_terminal",
]  # fmt: skip
