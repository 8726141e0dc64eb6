"""What the publication and we say, as experiments over seeds.

The claims and their bars -> `_claims`; families of real graphs, citation among them -> `_families`; runs over all of
them, with rivals -> `_judged`; with another class mix, and injected edges -> `_changed`; the published network ->
`_network`. Comparisons that no verdict ends are in `benchmarks/open_comparisons.py`.
"""

from ._claims import CLAIMS

__all__ = ["CLAIMS"]
