"""All statements: whole pictures, the carrier on them, coders, and the published carrier; the second system's apart."""

from __future__ import annotations

from ninefold_lab import Verdict, all_of, at_least, at_most

from ._carrier import CARRIER_CLAIMS
from ._coders import CODER_CLAIMS
from ._common import claim
from ._foreign import FOREIGN_CLAIMS
from ._mm import SELECTION_CLAIMS
from ._perceptual import PERCEPTUAL_CLAIMS
from ._pictures import apart, fillings, payload_masks
from ._whole import WHOLE_CLAIMS


def _within(arm: str, rival: str, margin: float) -> Verdict:
    return all_of(at_least(arm, rival, -margin), at_most(arm, rival, margin))


CLAIMS = [
    *WHOLE_CLAIMS,
    *CARRIER_CLAIMS,
    *CODER_CLAIMS,
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

MM_CLAIMS = [*SELECTION_CLAIMS, *FOREIGN_CLAIMS, *PERCEPTUAL_CLAIMS]
