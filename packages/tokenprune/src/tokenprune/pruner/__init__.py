"""Pruner: to be described."""
