"""Outcomes: to be described."""
