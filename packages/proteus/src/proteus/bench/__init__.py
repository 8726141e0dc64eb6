"""Bench: to be described."""
