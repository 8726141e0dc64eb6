"""Moved to `ninefold.proof`."""

from ninefold.lazy import moved

moved(__name__, "ninefold.proof", "0.3")
