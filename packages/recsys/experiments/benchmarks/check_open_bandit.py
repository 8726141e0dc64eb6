"""Does a log of one policy tell what another earned, on the Open Bandit Dataset? One JSON line a campaign.

Run: python check_open_bandit.py FOLDER, the folder `obp/dataset/obd` of the package obp 0.4.1, which is no dependency.
Items were shown at random in one log, by Thompson sampling (bts) in the other: of the latter, `snips` and `ips`
estimate the click rate of the former, which is known there.
"""

import sys
from pathlib import Path

import numpy as np
from ninefold.measure import emit
from pyarrow.csv import read_csv
from recsys.evaluation import ips, snips

if __name__ == "__main__":
    for campaign in ("all", "men", "women"):
        folders = [Path(sys.argv[1]) / policy / campaign for policy in ("random", "bts")]
        known, log = (read_csv(folder / f"{campaign}.csv") for folder in folders)
        shown, click = (known[name].to_numpy() for name in ("propensity_score", "click"))
        target, logged = np.full(len(log), shown.mean()), log["propensity_score"]
        reach = 1.96 * click.std() / np.sqrt(len(known))
        line = {"campaign": campaign, "rounds": len(log), "naive": log["click"].to_numpy().mean()}
        line["known"] = click.mean()
        for name, estimator in (("snips", snips), ("ips", ips)):
            one = estimator(log["click"], target, logged)
            line |= {name: one.mean, f"{name}_low": one.low, f"{name}_high": one.high, "effective": one.effective}
        emit(**line, known_low=click.mean() - reach, known_high=click.mean() + reach)
