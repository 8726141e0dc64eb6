"""Text tasks by name, and what is out of scope; from `$NINEFOLD_DATA/tswitch`, or slices in the wheel."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from ninefold.datasets import find
from ninefold.errors import DownloadError, InputError

from tswitch.datasets._text_data import TextTask, build_task, read_rows

Source = Literal["data", "embedded"]

CLINC_DOMAINS = (
    "auto_and_commute",
    "banking",
    "credit_cards",
    "home",
    "kitchen_and_dining",
    "meta",
    "small_talk",
    "travel",
    "utility",
    "work",
)
OPEN12 = ("banking77", "snips", *(f"clinc150/{domain}" for domain in CLINC_DOMAINS))
T8 = ("sst2", "subj", "trec", "cr", "banking77", "clinc150", "snips", "stackoverflow20")

_RESEARCH = "research corpus without a stated licence: for tests and benchmarks"
TEXT_SETS = {  # file -> (SHA-256, licence)
    "banking77": ("ae0a753cb43629b0dad0b9224cdbc2d41b1888df9759f1e05a7f99e9be3dfda0", "CC BY 4.0"),
    "clinc150": ("4a1cafa7099fad4c5ab9372964790f4838217cca7dbba1d561b38534c438437e", "CC BY 3.0"),
    "cr": ("107e51a92c0d6e73cbd19a8bd4ed9e42816f0012320bb259698912f95b57e0ba", _RESEARCH),
    "mpqa": ("4ef1b0b851f2be011eaa247f7d601e857b5cf5b360702080de8f8d223639b836", _RESEARCH),
    "snips": ("fc2d04ea3faf0a06e1eef4ee0e39782e38d3082cc67d6a536575fcbe49eb63c9", "CC0 1.0"),
    "sst2": ("bec793552b1483e10adf5b0210afa03bd9cf25c51c7cdc4352c39f63835955e8", _RESEARCH),
    "stackoverflow20": ("591e3517c61a3a843946d017495a087107690677cdf41c28210b25b4e413b853", "content CC BY-SA"),
    "subj": ("4506934f7270f6c52c3c76f14826e6ae39fab9a7098c7ee8063aeb9211c060bb", _RESEARCH),
    "trec": ("0d2125f0cb2bc9302e41dbaeaf08812af26aa77761c107356914fe1bc13ded35", _RESEARCH),
}
EMBEDDED_SETS = ("banking77", "clinc150", "snips")


def text_task(name: str, *, source: Source = "data") -> TextTask:
    """One text task.

    Args:
        name: a set of `TEXT_SETS`, or "clinc150/<domain>" for one of its ten domains (15 classes each).
        source: "data" reads the whole set; "embedded" the slice in the wheel (banking77, clinc150, snips).
    Raises:
        InputError: for an unknown name. DownloadError: if the file is missing; it says where to put it.
    """
    base, _, domain = name.partition("/")
    known = EMBEDDED_SETS if source == "embedded" else tuple(TEXT_SETS)
    if base not in known or (domain and (base != "clinc150" or domain not in CLINC_DOMAINS)):
        raise InputError("task", got=repr(name), expected=f"one of {', '.join(known)}, or clinc150/<domain>")
    rows = _rows(base, source)
    if domain:
        rows = [row for row in rows if row["domain"] == domain]
    return build_task(name, rows, TEXT_SETS[base][1])


def text_tasks(names: Iterable[str], *, source: Source = "data") -> dict[str, TextTask]:
    """Several tasks by name, in the order asked for."""
    return {name: text_task(name, source=source) for name in names}


def out_of_scope(split: Literal["train", "val", "test"] = "test", *, source: Source = "data") -> tuple[str, ...]:
    """Utterances of clinc150 that belong to no task: what a router should be unsure of."""
    return tuple(row["text"] for row in _rows("clinc150", source) if row["split"] == f"oos_{split}")


@lru_cache(maxsize=16)
def _rows(name: str, source: Source) -> list[dict[str, str]]:
    if source == "embedded":
        return read_rows(Path(str(files("tswitch") / "embedded" / f"{name}.csv.gz")))
    try:
        path = find("tswitch", f"text/{name}.csv.gz", sha256=TEXT_SETS[name][0])
    except DownloadError as error:
        if name in EMBEDDED_SETS:
            raise DownloadError(f"{error} (a smaller slice ships with the package: source='embedded')") from None
        raise
    return read_rows(path)
