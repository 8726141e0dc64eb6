"""The statements and their bars."""

from __future__ import annotations

from itertools import pairwise

from ninefold_lab import Budget, Claim, Verdict, all_of, at_least, at_most

from ._bits import arrival, code, detection, silent_errors
from ._pictures import RATIOS, SNRS, apart, fillings, monotony, payload_masks, selection, sparse
from ._separation import separation

_QUICK, _FULL = Budget(1, 1), Budget(10, 1)


def _within(arm: str, rival: str, margin: float) -> Verdict:
    return all_of(at_least(arm, rival, -margin), at_most(arm, rival, margin))


def _passes() -> Verdict:
    arms = [f"passed, r = {ratio}, {5 if ratio > 0.8 else 4} dB" for ratio in RATIOS]
    return all_of(*(at_least(arm, 0.999) for arm in arms), at_most("bit error rate where the check passed", 0.0))


CLAIMS = [
    Claim(
        id="semcom/mae-beats-inpainting",
        says="on the same received kept patches the autoencoder is .5 dB above harmonic inpainting and 3 dB above mean "
        "fill at a mask ratio of .75, and .4 dB above harmonic inpainting at .9 (Es/N0 5 dB)",
        source="abstract; bars ours",
        run=fillings,
        verdict=all_of(
            at_least("carrier, r = 0.75", "harmonic inpainting, r = 0.75", 0.5),
            at_least("carrier, r = 0.75", "mean fill, r = 0.75", 3.0),
            at_least("carrier, r = 0.9", "harmonic inpainting, r = 0.9", 0.4),
        ),
        quick=_QUICK,
        full=_FULL,
    ),
    Claim(
        id="semcom/payload-costs-the-picture-nothing",
        says="masks made by random, zero, text and periodic payloads draw as well as random masks, within .1 dB; zeros "
        "without the scrambler lose 1 dB",
        source="abstract; bars ours",
        run=payload_masks,
        verdict=all_of(
            *(_within(kind, "random mask", 0.1) for kind in ("random", "zeros", "text", "periodic")),
            at_most("zeros without scrambler", "random mask", -1.0),
        ),
        quick=_QUICK,
        full=_FULL,
    ),
    Claim(
        id="semcom/payload-arrives",
        says="the check of 99.9 % of mask blocks holds at 4 dB (5 dB for blocks below 80 bits), and where it holds no "
        "bit is wrong (QPSK, rate 1/2, token power 1)",
        source="abstract; bars ours",
        run=arrival,
        verdict=_passes(),
        quick=_QUICK,
        full=_FULL,
    ),
    Claim(
        id="semcom/silent-errors-are-rare",
        says="of 20,000 mask blocks at 1 dB at most two pass their check with wrong bits",
        source="ours",
        run=silent_errors,
        verdict=at_most("silent errors", 2.0),
        quick=_QUICK,
        full=Budget(5, 1),
    ),
    Claim(
        id="semcom/sparse-beats-dense",
        says="with the mask's number in a block a picture takes at most 30 % of the symbols of dense mask tokens, at "
        "equal PSNR (within .05 dB)",
        source="abstract; bars ours",
        run=sparse,
        verdict=all_of(at_most("symbols, sparse by dense", 0.3), at_least("sparse", "dense", -0.05)),
        quick=_QUICK,
        full=_FULL,
    ),
    Claim(
        id="semcom/selection-gains-a-decibel",
        says="the best of 16 scrambler alternatives is 1 dB above the first, for 4 bits a picture",
        source="ours",
        run=selection,
        verdict=at_least("select = 16", "select = 1", 1.0),
        quick=_QUICK,
        full=_FULL,
    ),
    Claim(
        id="semcom/bits-apart-are-as-good",
        says="the same bits sent apart beside a pseudo-random mask, at equal symbols, give the same picture within "
        ".1 dB",
        source="ours: the control",
        run=apart,
        verdict=_within("carrier", "bits sent apart", 0.1),
        quick=_QUICK,
        full=_FULL,
    ),
    Claim(
        id="semcom/quality-rises-with-snr-and-kept-patches",
        says="PSNR rises with the SNR (block Rayleigh fading, pilots) and falls with the mask ratio (5 dB)",
        source="abstract",
        run=monotony,
        verdict=all_of(
            *(at_least(f"{high:g} dB", f"{low:g} dB") for low, high in pairwise(SNRS)),
            *(at_least(f"r = {low}", f"r = {high}") for low, high in pairwise(RATIOS)),
        ),
        quick=_QUICK,
        full=_FULL,
    ),
    Claim(
        id="semcom/jscc-beats-separate-coding",
        says="ADJSCC is 2 dB above JPEG (by its scan bytes) with the best LDPC and QAM at 0 and 5 dB, bandwidth ratio "
        "1/12, and above the best linear link; 2 dB off its SNR, separate coding falls off a cliff",
        source="ours; the design's bar was set against JPEG at whole size in one scheme",
        run=separation,
        verdict=all_of(
            at_least("ADJSCC, 0 dB", "jpeg, 0 dB", 2.0),
            at_least("ADJSCC, 5 dB", "jpeg, 5 dB", 2.0),
            at_least("ADJSCC, 0 dB", "linear, 0 dB"),
            at_least("ADJSCC, 5 dB", "linear, 5 dB"),
            at_most("jpeg of 5 dB at 3 dB", "ADJSCC, 3 dB", -4.0),
        ),
        quick=_QUICK,
        full=_FULL,
    ),
    Claim(
        id="semcom/ldpc-is-as-good-as-it-should-be",
        says="the (171, 342) code fails in at most 3 % of blocks at 2.5 dB and .5 % at 3 dB (QPSK, min-sum)",
        source="ours; Sionna's sum-product has .9 and .1 %",
        run=code,
        verdict=all_of(at_most("block errors, 2.5 dB", 0.03), at_most("block errors, 3 dB", 0.005)),
        quick=_QUICK,
        full=_FULL,
    ),
    Claim(
        id="semcom/constant-weight-helps-detection",
        says="taking the n likeliest patches errs in at most a quarter of the masks that single decisions get wrong "
        "(uncoded BPSK, 7 dB, 49 of 196 patches)",
        source="ours",
        run=detection,
        verdict=at_most("top-n", "a quarter of single decisions"),
        quick=_QUICK,
        full=_FULL,
    ),
]
