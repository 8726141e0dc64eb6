"""Executor: to be described."""
