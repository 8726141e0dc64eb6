"""Share of codec and physical layer in an end-to-end transmission at ViT-B/16, 224 x 224 (random weights): a JSON line.

uv run python packages/semcom/benchmarks/bench_link.py
"""

from __future__ import annotations

import numpy as np
import torch
from ninefold.proof.bench import compare, emit
from semcom.carrier import CarrierImageLink, LinkConfig
from semcom.models import HubMae
from semcom.phy import Channel
from transformers import ViTMAEConfig, ViTMAEForPreTraining


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    link = CarrierImageLink(HubMae(ViTMAEForPreTraining(ViTMAEConfig())), LinkConfig())
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    bits = np.random.default_rng(1).integers(0, 2, (2, link.report.payload_bits), dtype=np.uint8)
    masks = link.codec.encode(bits)
    tokens, gains = link.coder.encode(images, masks, 50)

    def whole() -> None:
        link.recover(Channel().apply(link.send(images, bits), 6.0, np.random.default_rng(0)))

    def model_alone() -> None:
        sent, _ = link.coder.encode(images, masks, 50)
        link.coder.decode(sent, masks, gains)

    timings = compare({"whole": whole, "model alone": model_alone}, repeats=5)
    share = 1 - timings["model alone"].seconds / timings["whole"].seconds
    emit(benchmark="codec and physical layer by end to end, ViT-B/224", share=round(share, 4),
         seconds=timings["whole"].seconds / len(images), tokens=int(tokens.shape[1]))  # fmt: skip


if __name__ == "__main__":
    main()
