"""Serving: to be described."""
