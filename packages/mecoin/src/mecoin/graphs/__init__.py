"""Graphs: to be described."""
