"""UCI's DST: visits of users, a line each."""

from __future__ import annotations

import csv
from pathlib import Path

from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.loaders._text_files import open_text


def dst(path: str | Path, *, users: str = "") -> Dataset:
    """UCI DST files, such as Anonymous Microsoft Web Data: `A` lines name items, `C` lines open a user, `V` are events.

    Columns: user, item; items: title, url. Lines of other kinds are ignored.

    Args:
        path: .data, .test or .dst, Latin-1, perhaps .gz.
        users: put before each user's number, which then is text: files of one set may number other people alike.
    Raises:
        InputError: for a line that cannot be read, a vote before any case, or no votes at all.
    """
    path = Path(path)
    items: dict[int, tuple[str, str]] = {}
    user: list[int] = []
    item: list[int] = []
    case: int | None = None
    with open_text(path, "latin-1") as file:
        for number, fields in enumerate(csv.reader(file), start=1):
            try:
                if fields[:1] == ["A"]:
                    items[int(fields[1])] = (fields[3], fields[4])
                elif fields[:1] == ["C"]:
                    case = int(fields[2])
                elif fields[:1] == ["V"]:
                    item.append(int(fields[1]))
                    user.append(_not_none(case))
            except (ValueError, IndexError):
                expected = "A,id,1,title,url; C,number,number; or V,id,1 after a C line"
                raise InputError(f"line {number}", where=path, got=",".join(fields)[:60], expected=expected) from None
    if not item:
        raise InputError(f"file {path}", got="no V line", expected="events of users (DST)")
    side = {
        "item": list(items),
        "title": [title for title, _ in items.values()],
        "url": [url for _, url in items.values()],
    }
    frame = {"user": [f"{users}{one}" for one in user] if users else user, "item": item}
    return Dataset.from_frame(frame, user="user", item="item", items=side if items else None)


def _not_none(case: int | None) -> int:
    if case is None:
        raise ValueError
    return case
