"""Verification: to be described."""
