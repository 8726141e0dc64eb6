"""Knowledge: to be described."""
