"""Options of the method: which of its parts may take part."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ninefold.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of `MLDGG`; which of the parts that may take part do so is chosen on the sources.

    Attributes:
        share: one head for all graphs; `auto`: if features and classes are the same. Without it a target needs labels.
        gate: edges may be reweighted; `features`: by the cosine of their ends' own features alone, a control.
        centre: features may be taken around each graph's mean.
        joint: the words of sources and target may span one space; the model then holds the sources' features, edges
            and labels. False for those who may not ship them.

    Examples:
        >>> from mldgg import Settings
        >>> Settings(gate=False).centre
        True
    """

    share: bool | str = "auto"
    gate: bool | str = True
    centre: bool = True
    joint: bool = True


_ALLOWED: dict[str, tuple[Any, ...]] = {
    "share": (True, False, "auto"), "gate": (True, False, "features"), "centre": (True, False), "joint": (True, False),
}  # fmt: skip


def settings_of(**options: Any) -> Settings:
    """Settings with `options`; all that is wrong is said at once."""
    known = [field.name for field in fields(Settings)]
    wrong = [f"{name} is no option" for name in options if name not in known]
    for name, values in _ALLOWED.items():
        value = options.get(name, values[0])
        if not any(value is one or (isinstance(one, str) and value == one) for one in values):
            wrong.append(f"{name} is {value!r}, not {', '.join(map(str, values))}")
    if wrong:
        raise InputError("options", got="; ".join(wrong), expected=f"some of {', '.join(known)}: see mldgg.Settings")
    return Settings(**options)
