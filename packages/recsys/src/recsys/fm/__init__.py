"""Fm: to be described."""
