"""Learning to adapt: the whole method, its inner and outer loop, and what comes out of an adaptation.

Options and the three variants -> `_settings`; network and its loss -> `_network`; inner trajectory and outer gradient
-> `_loop`; training over epochs, resumable and over several processes -> `_train`; adaptation of the network ->
`_adapt`; gate in rounds, choices on sources, hops and centred ridge (ours) -> `_gates`, `_search`, `_solver`; class
mix, shift and shared words of a target without its labels -> `_unlabelled`; whether its labels speak against the
sources -> `_trust`; a fitted model and its file -> `_model`, `_whole`; the public class -> `_mldgg`; a model adapted to
one graph -> `_adapted`.
"""

from mldgg.meta._adapted import Adapted
from mldgg.meta._loop import ExplodedError, episode_gradient, trajectory
from mldgg.meta._mldgg import MLDGG, SHARES, ReadingWarning
from mldgg.meta._network import Network
from mldgg.meta._settings import VARIANTS, Settings, settings_of
from mldgg.meta._solver import GatedSolver
from mldgg.meta._train import Trainer

__all__ = [
    "MLDGG",
    "SHARES",
    "VARIANTS",
    "Adapted",
    "ExplodedError",
    "GatedSolver",
    "Network",
    "ReadingWarning",
    "Settings",
    "Trainer",
    "episode_gradient",
    "settings_of",
    "trajectory",
]
