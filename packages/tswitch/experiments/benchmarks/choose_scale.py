"""Which knob is the default: the models of twelve tasks, of one seed, on validation rows, before any claim is run.

Prints a row a way (knob, for each tensor or once for the model): mean accuracy over alpha 0.6, 0.9 and 0.97, and mean
divergence from the models themselves. The models are those of the claims, and are kept, so nothing is made twice. The
first time about 9 minutes of one core: 5 for the models, 4 for the ways. The choice is `DEFAULT_SCALE` in
`tswitch/switch/_ternary.py`, one line; as every experiment imports that file, claims that ran before are of an older
source then.

    OMP_NUM_THREADS=1 NINEFOLD_DATA=... python packages/tswitch/experiments/benchmarks/choose_scale.py [seed]
"""

from __future__ import annotations

import sys

from ninefold.measure import emit
from tswitch.datasets import OPEN12
from tswitch.evaluation._evaluate import macro
from tswitch.evaluation._suite import bench
from tswitch_experiments.claims._bytes import GRANULARITIES, best, choose

if __name__ == "__main__":
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    models = bench(OPEN12, seed, on_task=lambda name: emit(model=name, seed=seed))
    found = choose(models, 100, granularities=GRANULARITIES)
    for way, (right, apart) in found.items():
        emit(way=way, accuracy=round(macro(right), 2), divergence=round(apart, 4))
    emit(best=best(found))
