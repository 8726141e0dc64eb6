"""The tools that planners can call, and nothing else.

`_registry` holds them with typed parameters, `_context` what they read; each other file defines one family of tools.
"""
