"""The statements on whole pictures and the published carrier, with their bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ninefold_lab import Budget, Claim, Verdict, all_of, at_least, at_most

from ._pictures import apart, fillings, payload_masks
from ._whole import known_snr, unknown_snr


def claim(
    name: str, says: str, run: Callable[..., Any], verdict: Verdict, *, source: str = "ours", seeds: int = 10,
    minutes: float = 1,
) -> Claim:  # fmt: skip
    """A claim of this package; `minutes` are one seed's on one core."""
    return Claim(id=f"semcom/{name}", says=says, source=source, run=run, verdict=verdict, quick=Budget(1, 1),
                 full=Budget(seeds, minutes))  # fmt: skip


def _within(arm: str, rival: str, margin: float) -> Verdict:
    return all_of(at_least(arm, rival, -margin), at_most(arm, rival, margin))


CLAIMS = [
    claim("joint-coder-is-near-avif",
          "on 21 Kodak crops at a bandwidth ratio of 1/12 the joint coder is within 1.0 dB of AVIF + LDPC at 5 dB and "
          ".8 dB at 0 dB, its SSIM is .01 higher, and on the third that is hardest for AVIF it is .3 dB above",
          known_snr,
          all_of(at_least("joint, 5 dB", "AVIF, 5 dB", -1.0), at_least("joint, 0 dB", "AVIF, 0 dB", -0.8),
                 at_least("SSIM, joint, 5 dB", "SSIM, AVIF, 5 dB", 0.01),
                 at_least("joint, hardest third, 5 dB", "AVIF, hardest third, 5 dB", 0.3)), minutes=2),
    claim("choice-for-each-picture-pays",
          "the better of AVIF + LDPC and the joint coder for each picture, its bit counted, is .1 dB above AVIF + LDPC "
          "in the mean (21 Kodak crops, bandwidth ratio 1/12, 0 and 5 dB)",
          known_snr,
          all_of(*(at_least(f"chosen, {snr} dB", f"AVIF, {snr} dB", 0.1) for snr in (0, 5))), minutes=2),
    claim("joint-coder-leads-where-the-snr-is-unknown",
          "with a sender that does not know the SNR (0 to 10 dB, or Rayleigh fading once for a picture, mean of 10 dB) "
          "the joint coder is 1 dB above AVIF + LDPC at its best fixed rate (21 Kodak crops, bandwidth ratio 1/12)",
          unknown_snr,
          all_of(*(at_least(f"joint, {over}", f"AVIF at its best fixed rate, {over}", 1.0)
                   for over in ("0 to 10 dB", "slow fading"))), minutes=3),
    claim("mae-beats-inpainting",
          "on the same received kept patches the autoencoder is .5 dB above harmonic inpainting and 3 dB above mean "
          "fill at a mask ratio of .75, and .4 dB above harmonic inpainting at .9 (Es/N0 5 dB)",
          fillings,
          all_of(at_least("carrier, r = 0.75", "harmonic inpainting, r = 0.75", 0.5),
                 at_least("carrier, r = 0.75", "mean fill, r = 0.75", 3.0),
                 at_least("carrier, r = 0.9", "harmonic inpainting, r = 0.9", 0.4)), source="abstract; bars ours"),
    claim("payload-costs-the-picture-nothing",
          "masks made by random, zero, text and periodic payloads draw as well as random masks, within .1 dB; zeros "
          "without the scrambler lose 1 dB",
          payload_masks,
          all_of(*(_within(kind, "random mask", 0.1) for kind in ("random", "zeros", "text", "periodic")),
                 at_most("zeros without scrambler", "random mask", -1.0)), source="abstract; bars ours"),
    claim("bits-apart-are-as-good",
          "the same bits sent apart beside a pseudo-random mask, at equal symbols, give the same picture within "
          ".1 dB",
          apart, _within("carrier", "bits sent apart", 0.1), source="ours: the control"),
]  # fmt: skip
