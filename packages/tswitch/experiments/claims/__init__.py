"""What the publication claims of T-Switch and Auto-Switch, each with its bar, and what is ours.

Pulse activation, binarisation and the comparison with merging are in `_text`, convolutional nets and LoRA adapters in
`_other_weights`. Of our own: fitted knobs in `models/_fitted` and `_fitted_decoder`, their rivals in `_calibrated` and
`_equal_bytes` of `baselines`, merges of 2024 and 2025 in `_spectral_merges`, a router in closed form in `_routes` and
`_answers`.
"""

from __future__ import annotations

from ninefold_lab import Budget, Claim, Verdict, all_of, at_least, at_most
from tswitch.datasets import OPEN12, T8
from tswitch_experiments.baselines._calibrated import beside_rivals
from tswitch_experiments.baselines._equal_bytes import at_equal_bytes
from tswitch_experiments.baselines._tuned import STATIC
from tswitch_experiments.models._fitted import fitted_switches

from ._answers import answers
from ._fitted_decoder import fitted_decoder
from ._other_weights import adapters, vision
from ._routes import routes
from ._spectral_merges import MERGES, merges
from ._text import binary, pulse, table

__all__ = ["CLAIMS"]

SOURCE = "CVPR 2025, arXiv 2412.00054"
TABLE_BARS: Verdict = all_of(
    *(at_least("T-Switch 0.6", rival, 5.0) for rival in STATIC),
    at_least("T-Switch 0.6", "EMR", -0.5),
    at_most("T-Switch 0.6: MB", "EMR: half the MB"),
    at_least("T-Switch 0.9", "BitDelta", -0.5),
    at_most("T-Switch 0.9: MB", "BitDelta: MB"),
    at_least("T-Switch 0.6", "wrong switch", 5.0),
)


CLAIMS = [
    Claim(
        id="tswitch/largest-changes-carry-the-task",
        says="dropping the smaller half of the changes costs at most 0.5 points; dropping the larger half 10 more",
        source=f"{SOURCE}, pulse activation (section 3.2 and its ablation)",
        run=pulse,
        verdict=all_of(
            at_least("discard low", "individual", -0.5),
            at_least("discard low", "discard high", 10.0),
            at_least("discard low", "discard random"),
            at_least("discard random", "discard high"),
        ),
        full=Budget(3, 5, "full"),
    ),
    Claim(
        id="tswitch/ternary-keeps-accuracy",
        says="a switch costs at most 1 point at alpha 0.6, at most 3 at alpha 0.9 in at most 2 % of float32 on disk",
        source=f"{SOURCE}, binarisation (section 3.3)",
        run=binary,
        verdict=all_of(
            at_least("T-Switch 0.6", "individual", -1.0),
            at_least("T-Switch 0.9", "individual", -3.0),
            at_most("T-Switch 0.9: % of float32", 2.0),
            at_least("T-Switch 0.6", "wrong switch", 5.0),
        ),
        full=Budget(3, 5, "full"),
    ),
    Claim(
        id="tswitch/fitted-knobs-stay-true-below-half-a-per-cent",
        says="12 open tasks, a number a tensor fitted on 96 texts without labels: alpha 0.97 is within 0.03 nats and 1 "
        "point of the models in at most 0.45 % of float32, 0.99 within 2 points in 0.2 %",
        source="ours; the same codes with knobs by norm (full) compared",
        run=fitted_switches,
        verdict=all_of(
            at_most("fitted 0.97: % of float32", 0.45),
            at_most("fitted 0.97: divergence", 0.03),
            at_least("fitted 0.97", "individual", -1.0),
            at_most("fitted 0.99: % of float32", 0.2),
            at_least("fitted 0.99", "individual", -2.0),
            at_most("fitted 0.97: divergence", "full 0.97: divergence"),
        ),
        full=Budget(3, 10, "full"),
    ),
    Claim(
        id="tswitch/fitted-switches-answer-as-calibrated-rivals",
        says="on the same texts: fitted 0.97 has the accuracy (less 0.5 points) of calibrated Delta-CoMe in as many "
        "bytes and of distilled BitDelta in a fifth of its bytes, fitted 0.99 that of Delta-CoMe less 1",
        source="ours; BitDelta, arXiv 2402.10193; Delta-CoMe, arXiv 2406.08903; UltraDelta, arXiv 2505.13563",
        run=beside_rivals,
        verdict=all_of(
            at_least("fitted 0.97", "Delta-CoMe, 0.4 %", -0.5),
            at_least("fitted 0.97", "BitDelta", -0.5),
            at_least("fitted 0.99", "Delta-CoMe, 0.2 %", -1.0),
            at_least("fitted 0.97", "rescaled pruning", 5.0),
        ),
        full=Budget(3, 12, "full"),
    ),
    Claim(
        id="tswitch/fitted-switches-answer-as-sparse-codes-of-their-bytes",
        says="2 tasks, in the same bytes, factors fitted alike on the same texts: a switch at 0.97 has the accuracy of "
        "UltraDelta, DeltaDQ and ImPart less 0.5 points, at 0.99 less 1, and that of DeltaZip less 0.5 in fewer bytes",
        source="ours; UltraDelta, arXiv 2505.13563; DeltaDQ, arXiv 2410.08666; ImPart, arXiv 2504.13237; DeltaZip, "
        "arXiv 2312.05215",
        run=at_equal_bytes,
        verdict=all_of(
            *(
                at_least(f"fitted {alpha}", f"{rival} as {alpha}", margin)
                for alpha, margin in ((0.97, -0.5), (0.99, -1.0))
                for rival in ("UltraDelta", "DeltaDQ", "ImPart")
            ),
            at_least("fitted 0.97", "DeltaZip", -0.5),
            at_most("fitted 0.97: % of float32", "DeltaZip: % of float32"),
        ),
        full=Budget(3, 12, "full"),
    ),
    Claim(
        id="tswitch/fitted-decoders-stay-true-in-half-a-per-cent",
        says="SmolLM2-135M on three kinds of text: with fitted knobs a switch in at most 0.5 % of float32 has the "
        "fine-tuned model's loss + 0.02 nats",
        source="ours: the publication has no decoder",
        run=fitted_decoder,
        verdict=all_of(
            at_most("fitted: % of float32", 0.5),
            at_most("fitted", "individual", 0.02),
            at_most("fitted", "full"),
        ),
        full=Budget(3, 8, "full"),
    ),
    Claim(
        id="tswitch/beats-merging-on-twelve-tasks",
        says="12 open tasks: 5 points above each static merge, EMR's accuracy in half its bytes, BitDelta's in fewer",
        source=f"{SOURCE}, table 1",
        run=table(OPEN12),
        verdict=TABLE_BARS,
        full=Budget(3, 15, "full"),
    ),
    Claim(
        id="tswitch/beats-merging-on-eight-tasks",
        says="the same on 8 tasks of several kinds (sentiment, subjectivity, questions, intents, topics)",
        source=f"{SOURCE}, table 1",
        run=table(T8),
        verdict=TABLE_BARS,
        full=Budget(3, 15, "full"),
    ),
    Claim(
        id="tswitch/beats-merges-of-singular-vectors",
        says="12 open tasks: at alpha 0.9 5 points above TSV-M, Iso-C, Iso-CTS, WUDI, and LiNeS over sums and TIES",
        source="ours; TSV-M, arXiv 2412.00081; Iso-C and Iso-CTS, arXiv 2502.04959; WUDI, arXiv 2503.08099; LiNeS, "
        "arXiv 2410.17146",
        run=merges,
        verdict=all_of(*(at_least("T-Switch 0.9", merge, 5.0) for merge in MERGES)),
        full=Budget(3, 4, "full"),
    ),
    Claim(
        id="tswitch/a-closed-form-routes-twelve-tasks",
        says="12 open tasks: ridge regression on features and words assigns 93 % of single inputs to their task with "
        "400 queries a task, 89 % with 100; neighbours' votes on the same queries assign fewer",
        source="ours; Auto-Switch (CVPR 2025, arXiv 2412.00054, section 3.4) compared",
        run=routes,
        verdict=all_of(
            at_least("closed form, N = 400", 93.0),
            at_least("closed form, N = 100", 89.0),
            at_least("closed form, N = 400", "votes, N = 400"),
            at_least("closed form, N = 100", "votes, N = 100"),
        ),
        full=Budget(3, 2, "full"),
    ),
    Claim(
        id="tswitch/single-inputs-cost-two-points",
        says="12 open tasks, 400 queries a task, the head given: single inputs under the mixtures of the router in "
        "closed form are right within 2 points of the right switch",
        source="ours; Auto-Switch (CVPR 2025, arXiv 2412.00054, section 3.4, table 1) compared",
        run=answers,
        verdict=all_of(
            at_least("closed form", "T-Switch", -2.0),
            at_least("closed form, routed", 93.0),
            at_least("closed form", "votes"),
        ),
        full=Budget(3, 3, "full", most=10),
    ),
    Claim(
        id="tswitch/batch-norm-needs-its-buffers",
        says="a convolutional net loses at most 1.5 points with BatchNorm buffers measured anew, far more without any",
        source="ours; the authors' code leaves buffers out",
        run=vision,
        verdict=all_of(
            at_least("buffers anew", "individual", -1.5),
            at_most("without buffers", "buffers as trained", -5.0),
            at_most("wrong switch", "buffers anew", -5.0),
        ),
        full=Budget(3, 5, "full", most=12),
    ),
    Claim(
        id="tswitch/lora-factors-can-be-ternary",
        says="a LoRA adapter with its factors ternarised at alpha 0.4 loses at most 1 point",
        source=f"{SOURCE}, LoRA experiments and authors' code",
        run=adapters,
        verdict=all_of(at_least("T-Switch of LoRA", "LoRA", -1.0), at_most("wrong adapter", "T-Switch of LoRA", -5.0)),
        full=Budget(3, 5, "full"),
    ),
]
