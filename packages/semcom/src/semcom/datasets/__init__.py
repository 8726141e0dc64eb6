"""Pictures: named sets and the wheel's own photographs (`_sets`), files of any kind and their tiles (`_pictures`)."""

from semcom.datasets._sets import EMBEDDED, NAMES, SPLITS, embedded_photographs, load, tiles

__all__ = ["EMBEDDED", "NAMES", "SPLITS", "embedded_photographs", "load", "tiles"]
