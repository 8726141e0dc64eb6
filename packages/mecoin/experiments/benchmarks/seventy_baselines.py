"""The rivals without training on the seventy simulated classes: a JSON line for each seed and learner.

    uv run python packages/mecoin/experiments/benchmarks/seventy_baselines.py >> packages/mecoin/experiments/results/seventy-baselines.jsonl

Run before anything of the method was tuned on this graph. Each rival has the setting that `tuned` finds on the base
classes of seed 0, and the default beside it.
"""

from __future__ import annotations

import json

from mecoin import SessionStream, Simulated, run_stream, shared_encoder, tuned
from mecoin.baselines import BASELINES

settings: dict[str, dict[str, float]] = {}
for seed in range(5):
    stream = SessionStream(Simulated().draw(seed), 50, 2, 5, seed=seed)
    for name in ("SGC-NCM", "SGC-LDA", "SGC-LDA + EM"):
        kind = BASELINES[name]
        if name not in settings:
            settings[name] = dict(tuned(name, stream[0], 2, 5, 0))
        for options in [{}, settings[name]] if settings[name] else [{}]:
            encoder = shared_encoder(stream[0], kind.encoder_kind, seed=seed)
            made = run_stream(stream, kind(encoder, seed=seed, **options))
            figures = {"mean": made.mean, "macro": made.macro, "first": made.sessions[0].accuracy, "drop": made.drop}
            figures |= {"harmonic": made.harmonic, "base": made.sessions[-1].base, "novel": made.sessions[-1].novel}
            rounded = {key: round(value, 2) for key, value in figures.items()}
            print(json.dumps({"seed": seed, "learner": name, "options": options, **rounded}), flush=True)
