"""Families of real graphs that the claims learn from and judge on (`_families`)."""
