"""What the publication and we say, as experiments over seeds.

The claims and their bars -> `_claims`; runs over all families of graphs, with rivals -> `_judged`; with another class
mix, and injected edges -> `_changed`; Twitch -> `_twitch`; the published network -> `_network`. The families, citation
among them, are in `datasets`.
"""

from ._claims import CLAIMS

__all__ = ["CLAIMS"]
