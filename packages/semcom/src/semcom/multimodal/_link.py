"""The link: image and text features out, symbols over a channel, candidates and the chosen picture back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.artifacts import FolderArtifact, settled, write_folder
from ninefold.errors import InputError
from torch import nn

from semcom.links import Settings, SymbolReport, checked_pictures
from semcom.models import JsccCoder, load_jscc, model_hash, save_model
from semcom.multimodal._captions import Captioner, checked_captions
from semcom.multimodal._features import ImageFeatures, as_bytes
from semcom.multimodal._generator import Generator, Request, ResidualDiffusion
from semcom.multimodal._selection import ALPHAS, UNSHARP, AlphaTable, Evidence, choose, unsharp
from semcom.multimodal._store import FILES, KIND, link_folder, load_clip, load_unet
from semcom.multimodal._text_features import SmallClip, TextImageFeatures
from semcom.multimodal._text_forms import DEFAULT_SIZES, TEXT_FORMS, ReceivedText
from semcom.phy import Received, interleaver, power, reals_to_symbols, symbols_to_reals

_FLOOR = 1e-3  # least noise variance of the image features, so that no candidate is infinitely worse
_TEXT_GAP = 1.0  # variance of a picture's vector about its caption's, in units of a vector of norm sqrt(dim)


@dataclass(frozen=True)
class MMConfig(Settings):
    """What both sides agree on.

    Attributes:
        symbols: complex symbols of a picture, image and text together.
        text: form of the text, one of `TEXT_FORMS`.
        text_size: of the form, see `TextForm`; 0 is the form's own.
        fec, modulation: of coded text.
        size: height and width of pictures.

    Examples:
        >>> from semcom import MMConfig, MMSemCom

        >>> MMConfig(symbols=128, text="analog").size
        32
        >>> link = MMSemCom.from_pretrained("mm-32", symbols=96)  # the folder's settings but for the symbols
        >>> link.config.symbols, link.report.latent_symbols, link.report.text_symbols
        (96, 88, 8)
    """

    symbols: int = 128
    text: str = "analog"
    text_size: int = 0
    fec: str = "ldpc:1/2"
    modulation: str = "qpsk"
    size: int = 32

    def __post_init__(self) -> None:
        if self.text not in TEXT_FORMS:
            raise InputError("text", got=repr(self.text), expected=f"one of {', '.join(TEXT_FORMS)}")
        if self.size < 4 or self.size % 4 or self.symbols < 1:
            raise InputError("size, symbols", got=(self.size, self.symbols), expected="a multiple of 4, and at least 1")


@dataclass(frozen=True)
class MMReport(SymbolReport):
    """Symbols of a picture with those of its text."""

    text_symbols: int = 0

    @property
    def symbols(self) -> int:
        """All symbols of a picture."""
        return self.latent_symbols + self.text_symbols + self.pilot_symbols

    def to_meta(self) -> dict[str, Any]:
        """As JSON values, with the sums."""
        return {**super().to_meta(), "text_symbols": self.text_symbols}


@dataclass
class TxPictures:
    """What is sent: symbols (pictures, symbols) complex64, their report, and the captions for the sender's own eyes."""

    symbols: np.ndarray
    report: MMReport
    captions: list[str | None]


@dataclass
class RxPictures:
    """What is received; all arrays have a row for each picture.

    Attributes:
        images: (rows, H, W, 3) uint8, the chosen pictures.
        index: (rows,) numbers of the chosen candidates; None for `mean` and where there are no candidates.
        coarse: (rows, H, W, 3) uint8.
        evidence: candidates and their errors; None where there are no candidates.
        text: what arrived of the text.
    """

    images: np.ndarray
    index: np.ndarray | None
    coarse: np.ndarray
    evidence: Evidence | None
    text: ReceivedText


class MMSemCom:
    """Sends pictures with their text; the receiver draws candidates and keeps the picture that means what was sent.

    Examples:
        >>> import numpy as np
        >>> from semcom import Channel, MMSemCom, datasets

        >>> pictures = datasets.load("embedded", limit=2)
        >>> link = MMSemCom.from_pretrained("mm-32")

        >>> sent = link.transmit(pictures, ["a photo of a horse", None], snr_db=10.0)
        >>> received = Channel("awgn").apply(sent.symbols, 10.0, np.random.default_rng(0))
        >>> result = link.receive(received, 10.0, num_candidates=2, seed=0)
        >>> result.images.shape, result.evidence is not None
        ((2, 32, 32, 3), True)

        Without candidates the receiver gives the coarse picture, here under an unsharp mask:

        >>> link.receive(received, 10.0, select="unsharp").images.dtype
        dtype('uint8')
    """

    def __init__(
        self, coder: JsccCoder, text: TextImageFeatures, generator: Generator | None = None,
        config: MMConfig | None = None, *, alpha: AlphaTable | None = None, captioner: Captioner | None = None,
        max_batch: int = 64,
    ) -> None:  # fmt: skip
        """Args:
        coder: of the image features, on both sides.
        text: text features, on both sides.
        generator: of candidates, the receiver's alone; any callable on a `Request`.
        config: what both sides agree on.
        alpha: weight of image against text by SNR in the default rule; the package's own table if left out.
        captioner: the sender's, for pictures without caption.
        max_batch: pictures or candidates that pass a model at once.
        """
        self.config = c = config or MMConfig()
        self.generator, self.captioner, self.max_batch = generator, captioner, max_batch
        self.alpha, self.text_features = alpha or ALPHAS["multimodal"], text
        self.text = TEXT_FORMS[c.text](text, c.fec, c.modulation, c.text_size or DEFAULT_SIZES[c.text])
        left = c.symbols - self.text.symbols
        if left < 1:
            got = f"{c.symbols}, of which the text takes {self.text.symbols}"
            raise InputError("symbols", got=got, expected="room for a picture")
        self.features = ImageFeatures(coder, left, c.size, max_batch)

    @classmethod
    def from_pretrained(
        cls, name: str | Path = "mm-32", *, generator: Generator | None = None, captioner: Captioner | None = None,
        alpha: AlphaTable | None = None, max_batch: int = 64, sampler: dict[str, Any] | None = None, **settings: Any,
    ) -> MMSemCom:  # fmt: skip
        """A link of a folder of `save_pretrained` or `semcom mm pack`.

        Args:
            name: the folder.
            generator, captioner, alpha, max_batch: see the class; the folder's diffusion and alpha if left out.
            sampler: arguments of `ResidualDiffusion`.
            settings: fields of `MMConfig` that differ from the folder's.
        """
        place = link_folder(name)

        def read() -> tuple[dict[str, Any], nn.Module, nn.Module, nn.Module | None]:
            folder = FolderArtifact(place, kind=KIND, format_version=1)
            own = generator is None and FILES["diffusion"] in folder.names
            unet = load_unet(folder.file(FILES["diffusion"])) if own else None
            return folder.meta, load_jscc(folder.file(FILES["features"])), load_clip(folder.file(FILES["clip"])), unet

        meta, coder, clip, unet = settled(place, read)
        config = MMConfig.from_meta({**meta["link"], **settings})
        if unet is not None:
            generator = ResidualDiffusion(unet, **(sampler or {}))
        kept = meta.get("alpha")
        if alpha is None and kept is not None:
            alpha = AlphaTable(tuple(kept["snrs"]), tuple(kept["alphas"]))
        return cls(coder, clip, generator, config, alpha=alpha, captioner=captioner, max_batch=max_batch)

    def with_settings(self, **settings: Any) -> MMSemCom:
        """The same models with other settings, fields of `MMConfig`."""
        return MMSemCom(
            self.features.coder, self.text_features, self.generator, replace(self.config, **settings),
            alpha=self.alpha, captioner=self.captioner, max_batch=self.max_batch,
        )  # fmt: skip

    def save_pretrained(self, folder: str | Path, *, half: bool = False, force: bool = False) -> None:
        """Write the settings and our own models; text features or generators of others are refused."""
        if not isinstance(self.text_features, SmallClip):
            raise InputError("text features", got="a model of the hub", expected="small towers, or its own folder")
        if self.generator is not None and not isinstance(self.generator, ResidualDiffusion):
            raise InputError("generator", got="one that is not ours", expected="a ResidualDiffusion, or none")
        alpha = {"snrs": list(self.alpha.snrs), "alphas": list(self.alpha.alphas)}
        meta = {"link": self.config.to_meta(), "alpha": alpha}
        parts: dict[str, Any] = {"features": self.features.coder, "clip": self.text_features}
        if self.generator is not None:
            parts["diffusion"] = self.generator.unet
        with write_folder(folder, kind=KIND, format_version=1, package="semcom", meta=meta, force=force) as temporary:
            for part, model in parts.items():
                save_model(model, temporary / FILES[part], recipe={}, half=half)

    @property
    def report(self) -> MMReport:
        """Symbols of a picture; the energy is measured by `transmit`."""
        values = 3 * self.config.size**2
        return MMReport(0, 0, self.features.symbols, source_values=values, text_symbols=self.text.symbols)

    @property
    def model_hash(self) -> str:
        """Identity of the weights that both sides must have."""
        parts = [one for one in (self.features.coder, self.text_features) if isinstance(one, nn.Module)]
        return model_hash(nn.ModuleList(parts))

    def transmit(
        self, images: np.ndarray, captions: Sequence[str | None] | None = None, snr_db: float = 10.0
    ) -> TxPictures:
        """Symbols of pictures and their texts.

        Args:
            images: (rows, H, W, 3) uint8.
            captions: a text for each, or None: then the captioner's, or the picture's own vector in the text's place.
            snr_db: design Es/N0 that both sides know.
        """
        images = checked_pictures(images, self.config.size)
        texts = checked_captions(captions, len(images))
        bare = [row for row, text in enumerate(texts) if text is None]
        if bare and self.captioner is not None:
            for row, text in zip(bare, checked_captions(self.captioner(images[bare]), len(bare)), strict=True):
                texts[row] = text
            bare = [row for row, text in enumerate(texts) if text is None]
        vectors = self.text_features.embed_text([text or "" for text in texts])
        if bare:
            vectors = vectors.copy()
            vectors[bare] = self.text_features.embed_images(images[bare])
        parts = [reals_to_symbols(self.features.encode(images, snr_db)), self.text.send(vectors, texts)]
        symbols = np.concatenate(parts, axis=1)
        symbols = symbols[:, interleaver(symbols.shape[1])]
        return TxPictures(symbols, replace(self.report, energy=float(power(symbols).mean())), texts)

    def receive(
        self, received: Received, snr_db: float = 10.0, *, num_candidates: int = 8, select: str = "multimodal",
        alpha: float | np.ndarray | None = None, seed: int = 0, truth: np.ndarray | None = None,
        rows: np.ndarray | None = None,
    ) -> RxPictures:  # fmt: skip
        """Pictures of equalised symbols.

        Args:
            received: of a channel, or of `PilotPattern.equalise`.
            snr_db: design Es/N0, as in `transmit`; the effective noise is the equaliser's.
            num_candidates: K; 0 gives the coarse picture.
            select: rule, one of `RULES`; or `unsharp`: the coarse picture under an unsharp mask, without candidates.
            alpha: weight of image against text; see `alpha_of` if left out.
            seed: of the candidates, known to the receiver alone.
            truth: (rows, H, W, 3) uint8, for the rule `oracle` in experiments.
            rows: (rows,) numbers of the pictures, on which the candidates' noise depends; 0, 1, ... if left out.
        """
        count, total = len(received.symbols), self.report.symbols
        if received.symbols.shape[1] != total:
            raise InputError("symbols", got=f"{received.symbols.shape[1]} a picture", expected=f"{total}")
        if num_candidates < 0:
            raise InputError("num_candidates", got=num_candidates, expected="at least 0")
        numbers = np.arange(count) if rows is None else np.asarray(rows)
        ordered = received.in_order
        shrunk, noise = ordered.symbols, ordered.noise
        image = self.features.symbols
        unbiased = shrunk * (1 + noise)
        text = self.text.receive(unbiased[:, image:], noise[:, image:])
        coarse = self.features.decode(symbols_to_reals(shrunk[:, :image]), snr_db)
        if select == UNSHARP:
            return RxPictures(unsharp(as_bytes(coarse)), None, as_bytes(coarse), None, text)
        if num_candidates == 0:
            return RxPictures(as_bytes(coarse), None, as_bytes(coarse), None, text)
        if self.generator is None:
            raise InputError("generator", got="none", expected="one, or num_candidates=0 for the coarse picture")
        effective = -10 * np.log10(np.maximum(noise[:, :image].mean(axis=1), 1e-12))
        request = Request(
            coarse, text.vectors, text.present, text.captions, effective, num_candidates, seed, numbers, self.max_batch
        )
        candidates = self._checked(self.generator(request), coarse.shape, num_candidates)
        evidence = self.weigh(candidates, as_bytes(coarse), unbiased[:, :image], noise[:, :image], text, snr_db)
        evidence.truth = truth
        weight = self.alpha_of(select).at(effective) if alpha is None else alpha
        chosen = choose(evidence, select, weight, seed, numbers)
        return RxPictures(chosen.images, chosen.index, evidence.coarse, evidence, text)

    def weigh(
        self, candidates: np.ndarray, coarse: np.ndarray, unbiased: np.ndarray, noise: np.ndarray, text: ReceivedText,
        snr_db: float,
    ) -> Evidence:  # fmt: skip
        """Errors of candidates (rows, K, H, W, 3) uint8 against what was received.

        Args:
            coarse: (rows, H, W, 3) uint8.
            unbiased, noise: (rows, picture's symbols), see `Received`.
            text: what arrived of it.
            snr_db: design Es/N0.
        """
        rows, count = candidates.shape[:2]
        flat = candidates.reshape(rows * count, *candidates.shape[2:])
        again = self.features.encode(flat, snr_db).reshape(rows, count, -1)
        target = np.nan_to_num(np.clip(symbols_to_reals(unbiased), -1e6, 1e6))
        square = (again.astype(np.float64) - target[:, None]) ** 2
        misfit = (square / (np.repeat(noise, 2, axis=1)[:, None].astype(np.float64) + _FLOOR)).sum(axis=2)
        dim = self.text_features.dim
        length = np.linalg.norm(text.vectors, axis=1)
        direction = text.vectors / np.maximum(length, 1e-9)[:, None]
        seen = self.text_features.embed_images(flat).reshape(rows, count, dim)
        error = np.where(text.present[:, None], 1 - np.einsum("rkd,rd->rk", seen, direction), 0.0)
        weight = 2 * np.sqrt(dim) * length * (1 + text.noise) / (text.noise + _TEXT_GAP)
        weight = np.where(text.present, weight, 0.0)
        return Evidence(candidates, coarse, square.mean(axis=2), misfit, error.astype(np.float64), weight)

    def alpha_of(self, rule: str) -> AlphaTable:
        """The link's own table for the default rule, the package's for others, which are weighed apart."""
        return self.alpha if rule == "multimodal" else ALPHAS.get(rule, AlphaTable())

    @staticmethod
    def _checked(candidates: np.ndarray, shape: tuple[int, ...], count: int) -> np.ndarray:
        """What a generator made, or InputError."""
        wanted = (shape[0], count, *shape[1:])
        made = np.asarray(candidates)
        if made.shape != wanted or made.dtype != np.uint8:
            got = f"{made.dtype} of shape {made.shape}"
            raise InputError("generator", got=got, expected=f"uint8 of shape {wanted}")
        return made
