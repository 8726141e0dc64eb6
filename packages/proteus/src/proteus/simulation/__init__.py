"""Simulation: to be described."""
