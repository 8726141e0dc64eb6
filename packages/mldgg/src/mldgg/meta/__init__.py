"""Learning to adapt: what is chosen on the sources, and what comes of it on a graph never seen.

Gate in rounds, choices on sources, hops and centred ridge -> `_gates`, `_search`, `_solver`; class mix, shift, shared
words and walk of a target without its labels -> `_unlabelled`; options, a fitted model and its file -> `_model`,
`_whole`; the public class -> `_mldgg`; a model adapted to one graph, and whether that graph's labels speak against the
sources -> `_adapted`; what one reads of these, and files of predictions -> `_reports`.
"""

from mldgg.meta._adapted import Adapted, Trust, judged
from mldgg.meta._mldgg import MLDGG, ReadingWarning
from mldgg.meta._model import Settings
from mldgg.meta._solver import GatedSolver, Seen

__all__ = ["MLDGG", "Adapted", "GatedSolver", "ReadingWarning", "Seen", "Settings", "Trust", "judged"]
