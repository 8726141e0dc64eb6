"""Encoders: to be described."""
