"""Moved to `ninefold.proof.bench`."""

from ninefold.lazy import moved

moved(__name__, "ninefold.proof.bench", "0.3")
