"""Sequence: to be described."""
