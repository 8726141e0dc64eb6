"""The tools that planners can call, and nothing else.

`_registry` holds them with typed parameters, `_context` what they read, `_cards` lists them; each other
file defines one family of tools.
"""
