"""The house style of figures: one white axes box without its upper and right edge, twelve styles of line."""

from __future__ import annotations

import base64
import html
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ninefold.errors import require
from ninefold.files import atomic_file, mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY, PURPLE = "#2f6db5", "#e07b28", "#3c9a5f", "#c23b3b", "#8a8f98", "#7a5ba6"
_COLORS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)  # solid, then the same dashed


def figure(width: float = 6.4, height: float = 3.8, columns: int = 1, rows: int = 1) -> tuple[Figure, Any]:
    """A figure in the house style and its axes (one, or an array). Needs the extra `plots`; never opens a window.

    Examples:
        >>> from ninefold.report import figure

        >>> made, axes = figure(columns=2)
        >>> line = axes[0].plot([1, 2, 3], [0.5, 0.6, 0.8])
        >>> axes.shape, float(made.get_figwidth())
        ((2,), 6.4)
    """
    require("matplotlib", "ninefold", "plots")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained", dpi=110)
    FigureCanvasAgg(made)
    axes = made.subplots(rows, columns)
    for one in axes.flat if hasattr(axes, "flat") else [axes]:
        _style(one)
    return made, axes


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#e5e7eb", linewidth=0.7)
    axes.set_axisbelow(True)
    styles = [(color, line) for line in ("-", "--") for color in _COLORS]
    axes.set_prop_cycle(color=[color for color, _ in styles], linestyle=[line for _, line in styles])
    axes.tick_params(labelsize=9)


def save_figure(made: Figure, path: str | Path, package: str = "ninefold") -> Path:
    """Write a figure as PNG, atomically, recognisable as written by `package`; returns the path.

    Examples:
        >>> from ninefold.report import figure, save_figure

        >>> made, axes = figure()
        >>> line = axes.plot([1, 2, 3], [0.5, 0.6, 0.8])
        >>> save_figure(made, "accuracy.png").name
        'accuracy.png'
    """
    with atomic_file(path) as temporary:
        made.savefig(temporary, format="png", bbox_inches="tight", metadata={"Software": mark(package)})
    return Path(path)


def figure_html(made: Figure, caption: str, *, svg: bool = False) -> str:
    """A figure with its caption as self-contained HTML; with `svg` as SVG, unless it holds pictures or many points.

    Examples:
        >>> from ninefold.report import figure, figure_html

        >>> made, axes = figure()
        >>> line = axes.plot([1, 2, 3], [0.5, 0.6, 0.8])
        >>> figure_html(made, "Accuracy by epoch")[:7]
        '<figure'
    """
    from matplotlib.text import Text

    buffer = io.BytesIO()
    points = [len(part.get_offsets()) for axes in made.axes for part in axes.collections]  # type: ignore[arg-type]
    form = "svg" if svg and max(points, default=0) < 999 and not any(axes.images for axes in made.axes) else "png"
    made.savefig(buffer, format=form, bbox_inches="tight")  # a label that is too long widens the picture
    source = f"data:image/{form.replace('svg', 'svg+xml')};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    unseen = {
        one for axes in made.axes if not axes.axison for axis in (axes.xaxis, axes.yaxis) for one in axis.findobj(Text)
    }
    shown = [one for one in made.findobj(Text) if one.get_visible() and one.get_text() and one not in unseen]  # type: ignore
    sizes = [one.get_fontsize() for one in shown]  # type: ignore
    narrowest = math.ceil(11 * 72 * (made.get_tightbbox().width + 0.2) / min(sizes, default=math.inf))  # 11 pixels
    kind = ' class="wide" tabindex="0"' if narrowest > 341 else ""  # scrolls on a telephone
    text = html.escape(caption)
    image = f'<img alt="{text}" style="min-width:{narrowest}px" src="{source}">'
    return f"<figure{kind}>{image}<figcaption>{text}</figcaption></figure>"
