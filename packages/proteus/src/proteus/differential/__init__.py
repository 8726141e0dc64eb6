"""Differential: to be described."""
