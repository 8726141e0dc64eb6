"""Time and memory of whole jobs, one JSON line each: set tests and a run on CSF, growth with rows, a million cells.

NINEFOLD_DATA=... uv run --package proteus python packages/proteus/experiments/benchmarks/bench_scale.py

Each job is a process of its own, so that its peak memory is its own. On a machine that others use too, the processor's
seconds (which hold the making of the table as well) say more than the clock's.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from ninefold.datasets import find
from ninefold.measure import emit
from proteus import (
    Budget,
    ProteomicsData,
    Settings,
    Study,
    load_gmt,
    load_network,
    moderated_test,
    normalise,
    tl,
)
from proteus.planning._expert import ExpertPlanner
from proteus.record._objects import Step
from proteus.record._planner import Plan, PlanWorkflow
from proteus_experiments import published

BARS = {
    "CAMERA + FRY, CSF x Reactome": {"seconds": 2.0},
    "expert run on CSF": {"seconds": 120.0, "GB": 1.5},
    "expert run, 1,000,000 cells x 40 markers": {"seconds": 240.0, "GB": 6.0},
}


def knowledge():
    sets = load_gmt(find("proteus", "knowledge/reactome_2020-11.symbols.gmt.gz"))
    return sets, load_network(find("proteus", "knowledge/hi_union_symbols.tsv.gz"))


def set_tests():
    csf, (sets, _) = normalise(published.csf()), knowledge()
    result = moderated_test(csf, "~ site + group", "AD-control")
    start = time.perf_counter()
    for method in ("camera", "fry"):
        tl.enrich(result, sets, method)
    return time.perf_counter() - start


def expert_csf():
    sets, network = knowledge()
    data = published.csf()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        Study(data, sets=sets, network=network).run(Budget(), out=Path(folder) / "run")
    return time.perf_counter() - start


def cells(count=1_000_000, markers=40):
    """Four donors, two conditions, ten kinds of cells told by twenty markers; one state answers in one kind."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 10, count)
    donor, stimulated = rng.integers(0, 4, count), rng.random(count) < 0.5
    centres = rng.uniform(0, 5, (10, markers))
    centres[:, 20:] = 1.0
    values = centres[kind] + 0.5 * rng.standard_normal((count, markers))
    values[(kind == 3) & stimulated, 25] += 1.0
    sheet = pd.DataFrame({
        "condition": np.where(stimulated, "Stim", "Ref"), "donor": [f"d{one}" for one in donor],
    }, index=pd.RangeIndex(count).astype(str))  # fmt: skip
    sheet["sample_id"] = sheet["condition"] + "_" + sheet["donor"]
    features = pd.DataFrame(index=[f"m{place}" for place in range(markers)])
    data = ProteomicsData(values.T.copy(), features, sheet, "cell", "score")
    roles = {f"m{place}": "type" if place < 20 else "state" for place in range(markers)}
    del values
    start = time.perf_counter()
    report = Study(data, markers=roles).run(Budget(objectives=3))
    taken = time.perf_counter() - start
    assert report.hypotheses[0].entities == ["m25"], "the planted state is not first"
    return taken


def rows(count, planner="expert", *, refine=True):
    rng = np.random.default_rng(0)
    values = rng.uniform(20, 30, (count, 1)) + 0.4 * rng.standard_normal((count, 60))
    values[rng.random(values.shape) < 0.1] = np.nan
    sheet = pd.DataFrame({"group": ["a", "b"] * 30}, index=[f"s{place}" for place in range(60)])
    data = ProteomicsData(values, pd.DataFrame(index=[f"P{place}" for place in range(count)]), sheet)
    start = time.perf_counter()
    Study(data, planner).run(Budget(objectives=1), settings=Settings(refine=refine))
    return time.perf_counter() - start


class Steps(ExpertPlanner):
    """Plans the same test so many times, each with a fold bar of its own, so that none is remembered."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    def ask(self, question):
        answer = super().ask(question)
        if not isinstance(question, PlanWorkflow):
            return answer
        params = next(one.params for one in answer.steps if one.tool == "contrast")
        steps = [
            Step(id=f"S{place}", tool="contrast", params={**params, "lfc": place / 100})
            for place in range(1, self.count + 1)
        ]
        return Plan(steps=steps, reason="for the time it takes")


def steps(count):
    return rows(5_000, Steps(count), refine=False)


JOBS = {
    "CAMERA + FRY, CSF x Reactome": set_tests,
    "expert run on CSF": expert_csf,
    "expert run, 5,000 x 60, one objective": lambda: rows(5_000),
    "expert run, 10,000 x 60, one objective": lambda: rows(10_000),
    "expert run, 20,000 x 60, one objective": lambda: rows(20_000),
    "2 steps, 5,000 x 60, one objective": lambda: steps(2),
    "4 steps, 5,000 x 60, one objective": lambda: steps(4),
    "8 steps, 5,000 x 60, one objective": lambda: steps(8),
    "expert run, 1,000,000 cells x 40 markers": cells,
}


def measured(name):
    """Seconds and peak resident GB of a job in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--job", name], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", choices=list(JOBS))
    parser.add_argument("--only", default="", help="just jobs whose name contains this")
    options = parser.parse_args()
    if options.job:
        before = time.process_time()
        seconds = JOBS[options.job]()
        spent, peak = time.process_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            json.dumps({"seconds": round(seconds, 2), "cpu_seconds_with_setup": round(spent, 2), "GB": round(peak, 2)})
        )
    else:
        for name in JOBS:
            if options.only in name:
                found, bars = measured(name), BARS.get(name, {})
                emit(job=name, **found, bars=bars, met=all(found[key] <= bar for key, bar in bars.items()))
