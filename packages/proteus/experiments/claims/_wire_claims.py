"""What we say of runs with a scripted model: every fault ends in a clean report in which nothing made up is printed."""

import json
import re
import tempfile
from pathlib import Path

import numpy as np
from ninefold.errors import NinefoldError
from ninefold_lab import Budget as ClaimBudget
from ninefold_lab import Claim, Scores, all_of, at_least, at_most
from proteus import datasets
from proteus.llm._calls import Calls
from proteus.llm._client import Client
from proteus.llm._endpoint import Endpoint
from proteus.llm._planner import LLMPlanner
from proteus.record._journal import read_journal
from proteus.record._objects import Budget
from proteus.record._planner import Planner
from proteus.record._run_folder import Folder
from proteus.study._study import Report, Study
from proteus.verification._report import render_report
from proteus_experiments.planted._truth import score
from proteus_experiments.scripted._fake_server import FakeLLM
from proteus_experiments.scripted._script import load_script, shipped_scripts
from proteus_experiments.scripted._spoil import INVENTED_GENE, INVENTED_NUMBER, INVENTED_TOOL
from proteus_experiments.simulators._tables import Simulation, learn, simulate

_BUDGET = Budget(objectives=3, hypotheses=20)
_MADE_UP = (INVENTED_GENE, INVENTED_NUMBER, INVENTED_TOOL)


def _drawn(seed: int, features: int = 300, samples: int = 24) -> Simulation:
    return simulate(learn(datasets.ups1_peptides()), samples=samples, features=features, effect=1.0, seed=seed)


def _study(planted: Simulation, planner: Planner | str) -> Study:
    return Study(planted.data, planner, sets=planted.sets, network=planted.network)


def with_script(planted: Simulation, script: str, folder: Path, seed: int, budget: Budget) -> Report:
    """A run whose planner is a scripted model on loopback."""
    with FakeLLM(load_script(script)) as fake:
        timeout = 1.0 if script == "hang" else 60.0
        client = Client(Endpoint(fake.base_url, "fake", timeout=timeout), Calls(folder / "llm"), sleep=lambda _: None)
        return _study(planted, LLMPlanner(client, planted.data)).run(budget, seed, out=folder)


def inventions(folder: Folder) -> int:
    """Made-up names, and digits of statements that are no cell, in what a run prints."""
    printed = render_report(folder) + folder.hypotheses.read_text(encoding="utf-8")
    count = sum(printed.count(one) for one in _MADE_UP)
    for one in json.loads(folder.hypotheses.read_bytes())["items"]:
        text = re.sub(r"\{\w+\}", "", one["statement"])
        for name in sorted([*one["entities"], one["context"], "log2"], key=len, reverse=True):
            text = text.replace(name, "")
        count += len(re.findall(r"\d", text))
    return count


def _faults(budget: ClaimBudget, seed: int) -> Scores:
    planted = _drawn(seed, *((300, 24) if budget.form == "full" else (220, 16)))
    scripts = [one for one in shipped_scripts() if one != "good"]
    clean, made_up = np.zeros(len(scripts)), np.zeros(len(scripts))
    for place, script in enumerate(scripts):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Folder(Path(temporary) / "run")
            try:
                with_script(planted, script, folder.root, seed, _BUDGET)
            except NinefoldError:
                continue
            clean[place] = float(read_journal(folder.events)[-1].kind == "finish")
            made_up[place] = inventions(folder)
    return {  # of all scripts there are: no sample of them
        "fault scripts that end cleanly": float(clean.mean()),
        "invented names and digits printed": float(made_up.sum()),
    }


def _good(budget: ClaimBudget, seed: int) -> Scores:
    """F1 on the planted tables of the claim on whole studies, by a scripted good model and by the expert."""
    del budget
    planted = simulate(learn(datasets.ups1_peptides(), "group"), samples=16, features=600, effect=0.6, seed=seed)
    size = Budget(objectives=8, hypotheses=60)
    expert = _study(planted, "expert").run(size, seed)
    with tempfile.TemporaryDirectory() as temporary:
        model = with_script(planted, "good", Path(temporary) / "run", seed, size)
    return {
        "good model F1": score(model.hypotheses, planted.key, planted.sets).f1,
        "expert F1": score(expert.hypotheses, planted.key, planted.sets).f1,
        "questions that fell back to the expert": float(len(model.fallbacks)),
    }


WIRE_CLAIMS = [
    Claim(
        id="proteus/a-good-model-equals-the-expert",
        says="on planted truth a scripted good model, over HTTP, scores at least the expert's F1",
        source="ours",
        run=_good,
        verdict=all_of(at_least("good model F1", "expert F1"), at_most("questions that fell back to the expert", 0.0)),
        quick=ClaimBudget(seeds=2, minutes=2),
        full=ClaimBudget(seeds=60, minutes=1, most=200),
    ),
    Claim(
        id="proteus/faults-print-nothing-made-up",
        says="under every fault script of the scripted server a run ends cleanly and prints no invented name or digit",
        source="ours",
        run=_faults,
        verdict=all_of(
            at_least("fault scripts that end cleanly", 1.0), at_most("invented names and digits printed", 0.0)
        ),
        quick=ClaimBudget(seeds=1, minutes=2),
        full=ClaimBudget(seeds=3, minutes=10),
    ),
]
