"""Estimators: to be described."""
