"""Merging: to be described."""
