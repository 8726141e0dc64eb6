"""What a process that demos are forked from imports, once for all of them: each would take seconds for the same."""

import contextlib

for module in ("torch._dynamo", "scipy.stats", "pandas", "matplotlib.figure", "numba"):
    with contextlib.suppress(Exception):  # a demo that needs it says what is wrong with it
        __import__(module)
