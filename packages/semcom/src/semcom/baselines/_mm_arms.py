"""Rivals of the second system at equal symbols: the coarse picture alone, no text, and text alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError

from semcom.baselines._jscc import JsccLink
from semcom.models import JsccCoder
from semcom.multimodal import AnalogText, MMConfig, MMSemCom, ReceivedText, Request, checked_captions
from semcom.phy import Received, interleaver


class CoarseOnly(JsccLink):
    """ADJSCC with all the symbols: no text, no candidates."""

    name: ClassVar[str] = "coarse picture"
    source: ClassVar[str] = "Xu et al. 2021"

    def __init__(self, coder: JsccCoder, symbols: int, size: int = 32) -> None:
        super().__init__(coder, 0, size)
        if self.report.symbols != symbols:
            got = f"a coder of {self.report.symbols} symbols"
            raise InputError("coarse coder", got=got, expected=f"{symbols}, as the link takes", hint="train jscc")


def without_text(link: MMSemCom) -> MMSemCom:
    """The same link with the text's symbols given to the picture; selection is by image alone."""
    config = MMConfig(**{**vars(link.config), "text": "none", "text_size": 0})
    return MMSemCom(
        link.features.coder, link.text_features, link.generator, config, alpha=link.alpha, max_batch=link.max_batch
    )


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
        symbols, noise = np.empty_like(received.symbols), np.empty((rows, self.symbols), np.float32)
        symbols[:, interleaver(self.symbols)] = received.unbiased
        noise[:, interleaver(self.symbols)] = received.noise
        text: ReceivedText = self.form.receive(symbols, noise)
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
