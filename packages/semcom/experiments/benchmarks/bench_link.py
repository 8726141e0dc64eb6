"""Share of codec and physical layer in an end-to-end transmission at ViT-B/16, 224 x 224 (random weights): a JSON line.

The same link is timed whole and with the model's answers kept from before, in turn in one process.

uv run python packages/semcom/experiments/benchmarks/bench_link.py
"""

from __future__ import annotations

import numpy as np
import torch
from ninefold.measure import compare, emit
from semcom.models import HubMae
from semcom.paper import CarrierImageLink, LinkConfig
from semcom.phy import Channel
from transformers import ViTMAEConfig, ViTMAEForPreTraining


class Kept:
    """A token coder that answers at once: the tokens and pictures that the model gave for the same masks."""

    def __init__(self, coder, images: np.ndarray, masks: np.ndarray, slots: int) -> None:
        self.width, self.tokens = coder.width, coder.encode(images, masks, slots)
        self.images = coder.decode(self.tokens[0], masks, self.tokens[1])

    def encode(self, *_, **__) -> tuple[np.ndarray, np.ndarray]:
        return self.tokens

    def decode(self, *_) -> np.ndarray:
        return self.images


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = HubMae(ViTMAEForPreTraining(ViTMAEConfig()))
    link, kept = (CarrierImageLink(model, LinkConfig()) for _ in range(2))
    images = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    bits = np.random.default_rng(1).integers(0, 2, (1, link.report.payload_bits), dtype=np.uint8)
    kept.coder = Kept(link.coder, images, link.codec.encode(bits), link.codec.kept + 1)

    def sent_over(one: CarrierImageLink) -> None:
        one.recover(Channel().apply(one.send(images, bits), 6.0, np.random.default_rng(0)))

    calls = {"whole": lambda: sent_over(link), "codec and physical layer": lambda: sent_over(kept)}
    whole, alone = compare(calls, repeats=5).values()
    emit(benchmark="codec, physical layer and channel by end to end, ViT-B/16 at 224 x 224", bar=0.05,
         share=round(1 / alone.ratio, 4), low=round(1 / alone.high, 4), high=round(1 / alone.low, 4),
         seconds=round(whole.seconds, 4), symbols=link.report.symbols)  # fmt: skip


if __name__ == "__main__":
    main()
