"""Packing: to be described."""
