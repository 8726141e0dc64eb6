"""Pictures: named sets and the wheel's own photographs (`_sets`), files of any kind and their tiles (`_pictures`)."""

from semcom.datasets._pictures import SUFFIXES, count_tiles, cut_tiles, find_pictures, join_tiles, read_picture
from semcom.datasets._sets import EMBEDDED, NAMES, SPLITS, embedded_photographs, load, tiles

__all__ = [
    "EMBEDDED",
    "NAMES",
    "SPLITS",
    "SUFFIXES",
    "count_tiles",
    "cut_tiles",
    "embedded_photographs",
    "find_pictures",
    "join_tiles",
    "load",
    "read_picture",
    "tiles",
]
