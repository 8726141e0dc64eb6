"""Continual learners that train the encoder on, MECOIN's rivals in its publication, on the package's interface.

All train a copy of the shared GCN and a head that grows; each has a grid of four settings, as the training-free
rivals have. They stay in the experiments since the training-free ones in `mecoin.baselines` are ahead of them.
"""

from mecoin.protocol._learner import Learner

from ._gradient import FineTune, Lwf
from ._importance import Ewc, Mas, Twp
from ._replay import ErGnn, Gem

CONTINUAL: dict[str, type[Learner]] = {one.name: one for one in (FineTune, Lwf, Ewc, Mas, Twp, ErGnn, Gem)}
__all__ = ["CONTINUAL", "ErGnn", "Ewc", "FineTune", "Gem", "Lwf", "Mas", "Twp"]
