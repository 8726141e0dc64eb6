"""Factors: to be described."""
