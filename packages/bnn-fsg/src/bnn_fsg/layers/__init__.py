"""Layers: to be described."""
