"""Checkpoints: to be described."""
