"""Fsg: to be described."""
