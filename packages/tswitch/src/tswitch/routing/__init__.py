"""Routing: to be described."""
