"""Does a log of one policy tell what another earned, on the Open Bandit Dataset? One JSON line a campaign.

Run: python check_open_bandit.py FOLDER, the folder `obp/dataset/obd` of the package obp 0.4.1, which is no dependency.
Items were shown at random in one log, by Thompson sampling (bts) in the other: of the latter, `snips` and `ips`
estimate the click rate of the former, which is known there.
"""

import sys
from pathlib import Path

import numpy as np
from ninefold.measure import emit
from recsys.evaluation import ips, snips
from recsys.loaders import open_bandit

if __name__ == "__main__":
    for campaign in ("all", "men", "women"):
        folders = [Path(sys.argv[1]) / policy / campaign for policy in ("random", "bts")]
        known, log = (open_bandit(folder / f"{campaign}.csv") for folder in folders)
        target = np.full(len(log), known.propensity.mean())
        reach = 1.96 * known.click.std() / np.sqrt(len(known))
        line = {"campaign": campaign, "rounds": len(log), "naive": log.click.mean(), "known": known.click.mean()}
        for name, estimator in (("snips", snips), ("ips", ips)):
            one = estimator(log.click, target, log.propensity)
            line |= {name: one.mean, f"{name}_low": one.low, f"{name}_high": one.high, "effective": one.effective}
        emit(**line, known_low=known.click.mean() - reach, known_high=known.click.mean() + reach)
