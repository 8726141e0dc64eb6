"""Recommender: to be described."""
