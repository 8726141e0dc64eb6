"""Words as data: sentences, units, assays and rules, in `words.json`; its section `about` says what each is."""

import functools
import json
from importlib import resources
from typing import Any


@functools.cache
def words(section: str) -> dict[str, Any]:
    """A section of `words.json`.

    Examples:
        >>> words("units")["moves_with"]
        'correlation'
    """
    return json.loads(resources.files("proteus.record").joinpath("words.json").read_text("utf-8"))[section]
