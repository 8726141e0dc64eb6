"""What the publication claims of T-Switch and Auto-Switch, each with its bar, and what is ours.

Pulse activation, binarisation and the comparison with merging are in `_text`. Of our own: fitted knobs in `_fitted` and
`_fitted_decoder`, their rivals in `_calibrated` and `_equal_bytes`, merges of 2024 and 2025 in `_spectral_merges`, a
router in closed form in `_routes` and `_answers`.
"""

from __future__ import annotations

from collections.abc import Callable

from ninefold_lab import Budget, Claim, Scores, Verdict, all_of, at_least, at_most
from tswitch.datasets import OPEN12
from tswitch_experiments.baselines._tuned import STATIC

from ._answers import answers
from ._calibrated import beside_rivals
from ._equal_bytes import at_equal_bytes
from ._fitted import fitted_switches
from ._fitted_decoder import fitted_decoder
from ._routes import routes
from ._spectral_merges import MERGES, merges
from ._text import binary, pulse, table

__all__ = ["CLAIMS"]

SOURCE = "CVPR 2025, arXiv 2412.00054"


def _claim(
    name: str, says: str, source: str, run: Callable[[Budget, int], Scores], *bars: Verdict, minutes: float
) -> Claim:
    """A claim of three seeds whose bars all have to be passed; `minutes` are one seed's."""
    return Claim(
        id=f"tswitch/{name}", says=says, source=source, run=run, verdict=all_of(*bars), full=Budget(3, minutes, "full")
    )


CLAIMS = [
    _claim(
        "largest-changes-carry-the-task",
        "dropping the smaller half of the changes costs at most 0.5 points; dropping the larger half 10 more",
        f"{SOURCE}, pulse activation (section 3.2 and its ablation)", pulse,
        at_least("discard low", "individual", -0.5), at_least("discard low", "discard high", 10.0),
        at_least("discard low", "discard random"), at_least("discard random", "discard high"), minutes=5,
    ),
    _claim(
        "ternary-keeps-accuracy",
        "a switch costs at most 1 point at alpha 0.6, at most 3 at alpha 0.9 in at most 2 % of float32 on disk",
        f"{SOURCE}, binarisation (section 3.3)", binary,
        at_least("T-Switch 0.6", "individual", -1.0), at_least("T-Switch 0.9", "individual", -3.0),
        at_most("T-Switch 0.9: % of float32", 2.0), at_least("T-Switch 0.6", "wrong switch", 5.0), minutes=5,
    ),
    _claim(
        "fitted-knobs-stay-true-below-half-a-per-cent",
        "12 open tasks, a number a tensor fitted on 96 texts without labels: alpha 0.97 is within 0.03 nats and 1 "
        "point of the models in at most 0.45 % of float32, 0.99 within 2 points in 0.2 %",
        "ours; the same codes with knobs by norm (full) compared", fitted_switches,
        at_most("fitted 0.97: % of float32", 0.45), at_most("fitted 0.97: divergence", 0.03),
        at_least("fitted 0.97", "individual", -1.0), at_most("fitted 0.99: % of float32", 0.2),
        at_least("fitted 0.99", "individual", -2.0), at_most("fitted 0.97: divergence", "full 0.97: divergence"),
        minutes=10,
    ),
    _claim(
        "fitted-switches-answer-as-calibrated-rivals",
        "on the same texts: fitted 0.97 has the accuracy (less 0.5 points) of calibrated Delta-CoMe in as many "
        "bytes and of distilled BitDelta in a fifth of its bytes, fitted 0.99 that of Delta-CoMe less 1",
        "ours; BitDelta, arXiv 2402.10193; Delta-CoMe, arXiv 2406.08903; UltraDelta, arXiv 2505.13563", beside_rivals,
        at_least("fitted 0.97", "Delta-CoMe, 0.4 %", -0.5), at_least("fitted 0.97", "BitDelta", -0.5),
        at_least("fitted 0.99", "Delta-CoMe, 0.2 %", -1.0), at_least("fitted 0.97", "rescaled pruning", 5.0),
        minutes=12,
    ),
    _claim(
        "fitted-switches-answer-as-sparse-codes-of-their-bytes",
        "2 tasks, in the same bytes, factors fitted alike on the same texts: a switch at 0.97 has the accuracy of "
        "UltraDelta, DeltaDQ and ImPart less 0.5 points, at 0.99 less 1, and that of DeltaZip less 0.5 in fewer bytes",
        "ours; UltraDelta, arXiv 2505.13563; DeltaDQ, arXiv 2410.08666; ImPart, arXiv 2504.13237; DeltaZip, arXiv "
        "2312.05215",
        at_equal_bytes,
        *(at_least(f"fitted {alpha}", f"{rival} as {alpha}", margin) for alpha, margin in ((0.97, -0.5), (0.99, -1.0))
          for rival in ("UltraDelta", "DeltaDQ", "ImPart")),
        at_least("fitted 0.97", "DeltaZip", -0.5), at_most("fitted 0.97: % of float32", "DeltaZip: % of float32"),
        minutes=12,
    ),
    _claim(
        "fitted-decoders-stay-true-in-half-a-per-cent",
        "SmolLM2-135M on three kinds of text: with fitted knobs a switch in at most 0.5 % of float32 has the "
        "fine-tuned model's loss + 0.02 nats",
        "ours: the publication has no decoder", fitted_decoder,
        at_most("fitted: % of float32", 0.5), at_most("fitted", "individual", 0.02), at_most("fitted", "full"),
        minutes=8,
    ),
    _claim(
        "beats-merging-on-twelve-tasks",
        "12 open tasks: 5 points above each static merge, EMR's accuracy in half its bytes, BitDelta's in fewer",
        f"{SOURCE}, table 1", table(OPEN12),
        *(at_least("T-Switch 0.6", rival, 5.0) for rival in STATIC), at_least("T-Switch 0.6", "EMR", -0.5),
        at_most("T-Switch 0.6: MB", "EMR: half the MB"), at_least("T-Switch 0.9", "BitDelta", -0.5),
        at_most("T-Switch 0.9: MB", "BitDelta: MB"), at_least("T-Switch 0.6", "wrong switch", 5.0), minutes=15,
    ),
    _claim(
        "beats-merges-of-singular-vectors",
        "12 open tasks: at alpha 0.9 5 points above TSV-M, Iso-C, Iso-CTS, WUDI, and LiNeS over sums and TIES",
        "ours; TSV-M, arXiv 2412.00081; Iso-C and Iso-CTS, arXiv 2502.04959; WUDI, arXiv 2503.08099; LiNeS, arXiv "
        "2410.17146",
        merges, *(at_least("T-Switch 0.9", merge, 5.0) for merge in MERGES), minutes=4,
    ),
    _claim(
        "a-closed-form-routes-twelve-tasks",
        "12 open tasks: ridge regression on features and words assigns 93 % of single inputs to their task with "
        "400 queries a task, 89 % with 100; neighbours' votes on the same queries assign fewer",
        f"ours; Auto-Switch ({SOURCE}, section 3.4) compared", routes,
        at_least("closed form, N = 400", 93.0), at_least("closed form, N = 100", 89.0),
        *(at_least(f"closed form, N = {count}", f"votes, N = {count}") for count in (400, 100)), minutes=2,
    ),
    _claim(
        "single-inputs-cost-two-points",
        "12 open tasks, 400 queries a task, the head given: single inputs under the mixtures of the router in "
        "closed form are right within 2 points of the right switch",
        f"ours; Auto-Switch ({SOURCE}, section 3.4, table 1) compared", answers,
        at_least("closed form", "T-Switch", -2.0), at_least("closed form, routed", 93.0),
        at_least("closed form", "votes"), minutes=3,
    ),
]  # fmt: skip
