"""Pictures: named sets and the wheel's own photographs (`_sets`), the same with captions and classes (`_captioned`),
files of any kind and their tiles (`_pictures`), pictures that a user gives (`_given`).

Examples:
    >>> from semcom import datasets

    >>> datasets.load("embedded").shape
    (45, 32, 32, 3)
    >>> sorted(datasets.embedded_photographs())
    ['astronaut', 'chelsea', 'coffee', 'rocket']
"""

from semcom.datasets._captioned import Captioned, caption, load_captioned, thumbnails
from semcom.datasets._pictures import (
    PLUGINS,
    SUFFIXES,
    count_tiles,
    cut_tiles,
    find_pictures,
    join_tiles,
    plug_in,
    read_picture,
)  # fmt: skip
from semcom.datasets._sets import EMBEDDED, NAMES, SPLITS, embedded_photographs, load, load_whole

__all__ = [
    "EMBEDDED", "NAMES", "PLUGINS", "SPLITS", "SUFFIXES", "Captioned", "caption", "count_tiles", "cut_tiles",
    "embedded_photographs", "find_pictures", "join_tiles", "load", "load_captioned", "load_whole", "plug_in",
    "read_picture", "thumbnails",
]  # fmt: skip
