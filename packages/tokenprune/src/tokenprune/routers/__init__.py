"""Routers: to be described."""
