"""The control of the second system that draws nothing: the class is read off the symbols of the text.

uv run python packages/semcom/experiments/readtext.py  (seconds) prints how often it is right on the test pictures of
the claims, at equal symbols of the text; the judge on the chosen picture is the other figure.
"""

from __future__ import annotations

import sys

import numpy as np
from semcom.datasets import Captioned, caption, load_captioned
from semcom.multimodal import MMSemCom
from semcom.phy import Channel


def read(link: MMSemCom, data: Captioned, snr_db: float, seed: int) -> np.ndarray:
    """Whether the received vector of each picture's caption is nearest to its class's caption: (pictures,) bool."""
    classes = link.text_features.embed_text([caption(name) for name in data.classes])
    vectors = link.text_features.embed_text(data.captions)
    sent = link.text.send(vectors, data.captions)
    received = Channel().apply(sent, snr_db, np.random.default_rng([seed, 2]))
    noise = np.broadcast_to(received.noise, received.symbols.shape)
    arrived = link.text.receive(received.unbiased, noise)
    return (arrived.vectors @ classes.T).argmax(axis=1) == data.labels


def main() -> None:
    """Print shares in percent, means of three draws."""
    link, data = MMSemCom.from_pretrained("mm-32"), load_captioned("cifar10", "test", 500)
    for snr in (-5.0, 0.0, 5.0, 10.0):
        right = [100 * read(link, data, snr, seed).mean() for seed in range(3)]
        sys.stdout.write(f"{snr:g} dB: {np.mean(right):.1f} %\n")


if __name__ == "__main__":
    main()
