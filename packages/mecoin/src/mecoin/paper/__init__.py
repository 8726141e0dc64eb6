"""The published method (NeurIPS 2024, arXiv 2411.06659), part by part; the default imports none of it.

SMU, the structured memory unit, is `mecoin.memory._smu`, which the default has too. MeCs (memory construction),
GraphInfo and the edge loss are put together into keys in `_keys`. MRaM (representation adaptation) and GKIM (graph
knowledge interaction) are trained in `_interaction`. `_learner` joins them with the interface of all learners; `_model`
is the model that users hold.
"""

from mecoin.paper._interaction import Interaction
from mecoin.paper._keys import Published
from mecoin.paper._learner import PaperMecoin
from mecoin.paper._model import PaperModel

__all__ = ["Interaction", "PaperMecoin", "PaperModel", "Published"]
