"""Switch: to be described."""
