"""Learning to adapt: what is chosen on the sources, and what comes of it on a graph never seen.

Gate in rounds, choices on sources, hops and centred ridge -> `_gates`, `_search`, `_solver`; class mix, shift, shared
words and walk of a target without its labels -> `_unlabelled`; whether its labels speak against the sources ->
`_trust`; options, a fitted model and its file -> `_model`, `_whole`; the public class -> `_mldgg`; a model adapted to
one graph -> `_adapted`.
"""

from mldgg.meta._adapted import Adapted
from mldgg.meta._mldgg import MLDGG, ReadingWarning
from mldgg.meta._model import Settings
from mldgg.meta._solver import GatedSolver, Seen
from mldgg.meta._trust import Trust, judged

__all__ = ["MLDGG", "Adapted", "GatedSolver", "ReadingWarning", "Seen", "Settings", "Trust", "judged"]
