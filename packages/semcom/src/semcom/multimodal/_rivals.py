"""Rivals of the second system at equal symbols: no text (without candidates: the coarse picture), and text alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError

from semcom.multimodal._captions import checked_captions
from semcom.multimodal._generator import Request
from semcom.multimodal._link import MMSemCom
from semcom.multimodal._text_forms import AnalogText
from semcom.phy import Received, interleaver


def without_text(link: MMSemCom) -> MMSemCom:
    """The same link with the text's symbols given to the picture; selection is by image alone."""
    return link.with_settings(text="none", text_size=0)


class TextOnly:
    """The text alone, as often as it fits into the symbols; pictures are drawn from it and chosen by it."""

    name: ClassVar[str] = "text only"
    source: ClassVar[str] = "control"

    def __init__(self, link: MMSemCom) -> None:
        self.link = link
        times = link.config.symbols // max(link.text_features.dim // 2, 1)
        if times < 1:
            raise InputError("symbols", got=link.config.symbols, expected=f"{link.text_features.dim // 2} for a text")
        self.form = AnalogText(link.text_features, size=times)

    @property
    def symbols(self) -> int:
        """Symbols of a picture."""
        return self.form.symbols

    def send(self, captions: Sequence[str | None]) -> np.ndarray:
        """(rows, symbols) of captions; one that is missing is sent as an empty text."""
        texts = [text or "" for text in checked_captions(captions, len(captions))]
        symbols = self.form.send(self.link.text_features.embed_text(texts), texts)
        return symbols[:, interleaver(self.symbols)]

    def receive(self, received: Received, num_candidates: int = 8, seed: int = 0, **request: Any) -> np.ndarray:
        """Pictures (rows, H, W, 3) uint8 of equalised symbols."""
        if self.link.generator is None:
            raise InputError("generator", got="none", expected="one: a text alone is no picture")
        rows, size = len(received.symbols), self.link.config.size
        ordered = received.in_order
        noise = ordered.noise
        text = self.form.receive(ordered.unbiased, noise)
        grey = np.full((rows, size, size, 3), 0.5, np.float32)
        effective = -10 * np.log10(np.maximum(noise.mean(axis=1), 1e-12))
        made = self.link.generator(
            Request(
                grey, text.vectors, text.present, text.captions, effective, num_candidates, seed,
                request.get("rows", np.arange(rows)), self.link.max_batch, has_coarse=False,
            )
        )  # fmt: skip
        seen = self.link.text_features.embed_images(made.reshape(-1, *made.shape[2:])).reshape(rows, num_candidates, -1)
        index = np.einsum("rkd,rd->rk", seen, text.vectors).argmax(axis=1)
        return made[np.arange(rows), index]
