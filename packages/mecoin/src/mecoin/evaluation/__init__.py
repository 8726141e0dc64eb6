"""Evaluation: to be described."""
