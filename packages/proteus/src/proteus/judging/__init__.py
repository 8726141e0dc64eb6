"""Judging: to be described."""
