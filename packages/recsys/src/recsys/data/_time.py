"""Time columns of any form as microseconds since 1970 (UTC), and moments that users write."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError

from recsys.data._frame import null_mask, rows_text
from recsys.data._untyped import is_text, pc

DAY = 86_400_000_000  # microseconds
_APART = 3653 * DAY  # a gap of ten years, after which a date is taken for a mistake
_SCALE = {"s": 1_000_000, "ms": 1_000, "us": 1, "index": 1}
_ZONE = r"[T ][0-9:.]+\s*(Z|UTC|GMT|[+-][0-9]{2}(:?[0-9]{2})?)$"  # at the end of a text
_CLASSES = [("s", 1e8, 1e11), ("ms", 1e11, 1e14), ("us", 1e14, 1e17), ("ns", 1e17, 1e20)]  # 1973 to 5138


def microseconds(column: pa.ChunkedArray, name: str, unit: str | None = None) -> np.ndarray:
    """A time column as int64 microseconds (n,).

    Args:
        column: timestamps, dates, ISO 8601 text, or numbers since 1970.
        name: the column's name, for messages.
        unit: of numbers: "s", "ms", "us", "ns", or "index" for plain positions; guessed from their size if None. Or how
            other times are written, e.g. "%d/%m/%Y %H:%M".
    Raises:
        InputError: for nulls, numbers whose unit is unclear or mixed, text that is no time, mixed zones, or a unit of
            a column that needs none.
    """
    bad = null_mask(column)
    if bad.any():
        raise InputError(f"column {name!r}", got=f"null in {rows_text(bad)}", expected="a time in each row")
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if unit is not None and "%" in unit:
        column = _as_written(column, name, unit)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _from_numbers(np.asarray(column.to_numpy()), name, unit)
    elif unit is not None:
        raise InputError("time_unit", got=f"{unit!r} for a column of {kind}", expected="None: it is one of numbers")
    elif is_text(kind):
        column = _from_text(column, name)
    elif not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise InputError(f"column {name!r}", got=str(kind), expected="timestamps, ISO text, or numbers since 1970")
    zone = getattr(column.type, "tz", None)
    return np.asarray(column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64()).to_numpy())


def _from_numbers(values: np.ndarray, name: str, unit: str | None) -> np.ndarray:
    if not np.isfinite(values).all():
        raise InputError(f"column {name!r}", got=f"infinite in {rows_text(~np.isfinite(values))}", expected="times")
    if unit is None and len(values):
        low, high = float(values.min()), float(values.max())
        unit = next((one for one, least, most in _CLASSES if least <= low and high < most), None)
        if unit is None:
            raise InputError(
                f"column {name!r}",
                got=f"numbers from {low:.10g} to {high:.10g}, whose unit is unclear or mixed",
                expected="seconds, ms, us or ns since 1970",
                hint='say time_unit="s", "ms", "us", "ns", or "index" for plain positions',
            )
    if unit == "ns":
        return (values // 1000).astype(np.int64)
    if unit is not None and unit not in _SCALE:
        raise InputError("time_unit", got=repr(unit), expected='"s", "ms", "us", "ns" or "index"')
    scale = _SCALE[unit or "us"]
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.int64) * scale
    return np.round(values * scale).astype(np.int64)


def _as_written(column: pa.ChunkedArray, name: str, form: str) -> pa.ChunkedArray:
    """Timestamps of texts, or whole numbers such as 20260131, by a form of strptime."""
    try:
        return pc.strptime(column.cast(pa.string()), format=form, unit="us")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            f"column {name!r}", got=str(error).splitlines()[0], expected=f"times written as {form!r}"
        ) from None


def _from_text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    zoned = pc.match_substring_regex(column, _ZONE).to_numpy()
    if zoned.any() and not zoned.all():
        raise InputError(
            f"column {name!r}", got=f"no zone in {rows_text(~zoned)}, a zone in the others", expected="one form of time"
        )
    kind = pa.timestamp("us", "UTC") if zoned.all() and len(zoned) else pa.timestamp("us")
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:  # perhaps as databases write them: "2026-01-31 10:00:00.123456789 UTC"
        forms = (r"\s*(UTC|GMT)$", "Z"), (r"\s+([+-][0-9:]+)$", r"\1"), (r"(\.[0-9]{6})[0-9]+", r"\1")
        for pattern, instead in forms:
            column = pc.replace_substring_regex(column, pattern=pattern, replacement=instead)
    try:
        return column.cast(kind)
    except pa.ArrowInvalid as error:
        hint = 'say how they are written, e.g. time_unit="%d/%m/%Y %H:%M"'
        got = str(error).splitlines()[0]
        raise InputError(f"column {name!r}", got=got, expected="ISO 8601 times", hint=hint) from None


def latest(time: np.ndarray) -> int:
    """The last moment of events, int64 microseconds (n,), from which ages count.

    At most one event in a hundred that lies ten years or more after all others does not move it.
    """
    few = min(max(len(time) // 100, int(len(time) >= 20)) + 1, len(time))
    last = np.sort(np.partition(time, len(time) - few)[len(time) - few :])
    gaps = np.flatnonzero(np.diff(last) > _APART)
    return int(last[gaps[0]] if len(gaps) else last[-1])


def moment(when: str | int | float | dt.datetime | dt.date | np.datetime64, what: str = "cut") -> int:
    """One moment as int64 microseconds: ISO text, a datetime or date (no zone means UTC), or microseconds."""
    if isinstance(when, (int, float, np.integer)) and not isinstance(when, bool):
        return int(when)
    when = when.astype("datetime64[us]") if isinstance(when, np.datetime64) else when
    try:
        found = dt.datetime.fromisoformat(str(when))
    except ValueError:
        raise InputError(what, got=repr(when), expected='a time such as "2011-11-01T12:00"') from None
    found = found if found.tzinfo else found.replace(tzinfo=dt.UTC)
    return (found - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def as_text(time: int) -> str:
    """Microseconds as ISO text to the second."""
    try:
        return (dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=int(time))).isoformat(sep=" ", timespec="seconds")
    except OverflowError:
        return str(time)
