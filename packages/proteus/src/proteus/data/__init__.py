"""Data: to be described."""
