"""What the publication and we say, as experiments over seeds.

The claims and their bars -> `_claims`; citation graphs -> `_citation`; with another class mix -> `_thinned`;
families of real graphs -> `_families`; runs over all of them, with rivals -> `_judged`; injected edges ->
`_noise`; Twitch -> `_twitch`; the published network -> `_network`.
"""

from ._claims import CLAIMS

__all__ = ["CLAIMS"]
