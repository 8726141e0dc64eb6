"""Words as data: sentences, units, assays and rules, in `words.json`; its section `about` says what each is."""

import functools
import json
import re
from importlib import resources
from typing import Any

ID = r"(?:[_ .-]?(?:id|no|number|name))?$"  # how names of columns of names may end


@functools.cache
def words(section: str) -> dict[str, Any]:
    """A section of `words.json`.

    Examples:
        >>> words("units")["moves_with"]
        'correlation'
    """
    return json.loads(resources.files("proteus.record").joinpath("words.json").read_text("utf-8"))[section]


def named(section: str, end: str = "$") -> re.Pattern[str]:
    """The pattern of names, in any case, that are one of a section of `columns`, followed by `end`."""
    return re.compile(rf"(?i)^(?:{'|'.join(words('columns')[section])}){end}")
