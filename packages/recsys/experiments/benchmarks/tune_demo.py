"""The settings of the demo: each model searched on the embedded events before the cut; one JSON line each.

Run: python tune_demo.py [TRIALS]. The starts and the trials are those of the claim on Online Retail.
"""

import sys

from ninefold.measure import emit
from recsys.baselines import PureSVD
from recsys.datasets import embedded_retail
from recsys.demo import CUT
from recsys_experiments.claims._trials_lists import _STARTS, _search

if __name__ == "__main__":
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    train, _ = embedded_retail().split.time(CUT)
    for name, starts in {**_STARTS, "PureSVD": [PureSVD()]}.items():
        found = max((_search(start, train, trials) for start in starts), key=lambda one: one.score)
        emit(model=name, best=repr(found.best), score=found.score, trials=trials)
        sys.stdout.flush()
