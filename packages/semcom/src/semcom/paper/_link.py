"""The carrier-image link (paper): payload bits choose the mask, the masked autoencoder sends the picture."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.artifacts import FolderArtifact, settled, write_folder
from ninefold.errors import InputError
from ninefold.files import MANIFEST

from semcom.links import Delivered, PictureLink, Settings, SymbolReport, checked_pictures
from semcom.models import SmallMae, load_mae, model_hash, save_model
from semcom.paper._coder import TokenCoder
from semcom.paper._framing import MAX_PICTURES, WRAP, Splitter, make_frame
from semcom.paper._mask_codec import MaskCodec
from semcom.paper._sparse import FORMS, Decision, FormSetting, Message
from semcom.phy import Received, interleaver, power

_KIND = "semcom.link"


@dataclass(frozen=True)
class LinkConfig(Settings):
    """What sender and receiver agree on, the key apart.

    Attributes:
        mask_ratio, mode: of the mask codec.
        sparse: form of the support: enum, implicit or dense.
        tap: where the latents are taken, `encoder` or `decoder_embed`.
        fec, modulation: of coded blocks.
        select: scrambler alternatives that the sender tries, a power of two.

    Examples:
        >>> from semcom import CarrierImageLink, LinkConfig
        >>> from semcom.models import load_mae

        >>> config = LinkConfig(mask_ratio=0.5, fec="ldpc:1/3", modulation="16qam")
        >>> link = CarrierImageLink(load_mae("mae-32p4"), config, key="ours")
        >>> link.report.payload_bits, link.report.symbols
        (60, 2181)
    """

    mask_ratio: float = 0.75
    mode: str = "enumerative"
    sparse: str = "enum"
    tap: str = "encoder"
    fec: str = "ldpc:1/2"
    modulation: str = "qpsk"
    select: int = 1

    def __post_init__(self) -> None:
        if self.sparse not in FORMS:
            raise InputError("sparse", got=repr(self.sparse), expected=f"one of {', '.join(FORMS)}")
        if self.select < 1 or self.select > 1024 or self.select & (self.select - 1):
            raise InputError("select", got=self.select, expected="a power of two up to 1024")
        if self.mode == "bitmap" and self.sparse != "enum":
            raise InputError("sparse", got=self.sparse, expected="enum: mode bitmap gives masks of any weight")
        if self.sparse == "dense" and self.tap != "decoder_embed":
            raise InputError("tap", got=self.tap, expected="decoder_embed: dense sends what the decoder reads")


@dataclass
class TxFrame:
    """What is sent.

    Attributes:
        symbols: (pictures, symbols of a picture) complex64.
        report: symbols of a picture by purpose.
        sequence: (pictures,) numbers of the pictures.
        carrying: pictures that carry the payload; those after it carry zeros.
        masks: (pictures, N) bool, for the sender's own eyes.

    Examples:
        >>> import numpy as np
        >>> from semcom import CarrierImageLink, Channel, datasets

        >>> pictures = datasets.load("embedded", limit=8)  # 32 x 32 pixels each
        >>> link = CarrierImageLink.from_pretrained("mae-32p4", mask_ratio=0.75, key="ours")

        >>> sent = link.transmit(pictures, b"hello")
        >>> sent.symbols.shape == (8, sent.report.symbols)
        True
        >>> sent.carrying  # pictures that the payload takes
        4
        >>> sent.masks.sum(axis=1)[:2].tolist()  # of 64 patches
        [48, 48]
    """

    symbols: np.ndarray
    report: SymbolReport
    sequence: np.ndarray
    carrying: int
    masks: np.ndarray


@dataclass
class RxFrame:
    """What is received.

    Attributes:
        images: (pictures, H, W, 3) uint8.
        payload: the bytes, whole and checked, or None; never bytes that failed a check.
        mask: (pictures, N) bool.
        crc_ok: (pictures,) whether each picture's check held.
        sequence: (pictures,) decoded numbers.
        missing: sequence numbers that are needed and did not arrive.
        reason: why there is no payload, or "".
        unchecked: best guess of the frame's bytes though a check failed; for `--keep-bad` alone.

    Examples:
        >>> import numpy as np
        >>> from semcom import CarrierImageLink, Channel, datasets

        >>> pictures = datasets.load("embedded", limit=8)  # 32 x 32 pixels each
        >>> link = CarrierImageLink.from_pretrained("mae-32p4", mask_ratio=0.75, key="ours")

        >>> sent = link.transmit(pictures, b"hello")
        >>> good = link.receive(Channel("awgn").apply(sent.symbols, 8.0, np.random.default_rng(0)))
        >>> good.payload, good.reason
        (b'hello', '')

        At -10 dB the checks fail, and no byte is handed out:

        >>> bad = link.receive(Channel("awgn").apply(sent.symbols, -10.0, np.random.default_rng(0)))
        >>> print(bad.payload, bad.crc_ok.any(), bad.images.shape)
        None False (8, 32, 32, 3)
    """

    images: np.ndarray
    payload: bytes | None
    mask: np.ndarray
    crc_ok: np.ndarray
    sequence: np.ndarray
    missing: list[int]
    reason: str
    unchecked: bytes


class CarrierImageLink(PictureLink):
    """Sends pictures whose masks carry bytes.

    Examples:
        >>> import numpy as np
        >>> from semcom import CarrierImageLink, Channel, datasets

        >>> pictures = datasets.load("embedded", limit=8)  # 32 x 32 pixels each
        >>> link = CarrierImageLink.from_pretrained("mae-32p4", mask_ratio=0.75, key="ours")

        >>> sent = link.transmit(pictures, b"48 bits travel in a mask")
        >>> received = Channel("awgn").apply(sent.symbols, 6.0, np.random.default_rng(0))
        >>> frame = link.receive(received)
        >>> frame.payload
        b'48 bits travel in a mask'
        >>> frame.images.shape, int(frame.crc_ok.sum())
        ((8, 32, 32, 3), 8)
    """

    name = "carrier"
    source = "Yan and Li 2025"

    def __init__(
        self, model: Any, config: LinkConfig | None = None, *, key: int | str | None = 0, max_batch: int = 64
    ) -> None:
        """Args:
        model: a masked autoencoder of `semcom.models`.
        config: what both sides agree on.
        key: of the scrambler, known to both sides; None switches it off.
        max_batch: pictures that pass the model at once.
        """
        self.model, self.config, self.key = model, config or LinkConfig(), key
        c = self.config
        self.codec = MaskCodec(model.num_patches, c.mask_ratio, c.mode, key)
        self.coder = TokenCoder(model, c.tap, max_batch)
        self._most = self.codec.kept or int(model.num_patches / 2 + 2 * model.num_patches**0.5)
        setting = FormSetting(
            self.codec, self._most + 1, self.coder.width, c.fec, c.modulation, c.select.bit_length() - 1,
            c.tap != "encoder", self.coder.dictionary() if c.sparse == "dense" else None,
        )  # fmt: skip
        self.form = FORMS[c.sparse](setting)
        self.splitter = Splitter(self.codec.capacity_bits)

    @classmethod
    def from_pretrained(
        cls, name: str | Path = "mae-32p4", *, key: int | str | None = 0, max_batch: int = 64, **settings: Any
    ) -> CarrierImageLink:
        """A link on a model, by name, file or folder.

        Args:
            name: see `load_mae`; or a folder of `save_pretrained`, whose settings `settings` override.
            key, max_batch: see the class.
            settings: fields of `LinkConfig`.
        """

        def read() -> tuple[dict[str, Any], Any]:
            folder = FolderArtifact(name, kind=_KIND, format_version=1)
            folder.verify()
            return folder.meta["link"], load_mae(folder.file("model.safetensors"))

        kept, model = settled(name, read) if (Path(name) / MANIFEST).is_file() else ({}, load_mae(name))
        return cls(model, LinkConfig.from_meta({**kept, **settings}), key=key, max_batch=max_batch)

    def save_pretrained(self, folder: str | Path, *, force: bool = False) -> None:
        """Write config.json and model.safetensors; models of the hub stay in their own folder and are refused."""
        if not isinstance(self.model, SmallMae):
            raise InputError("model", got="a model of the hub", expected="a small one", hint="keep its own folder")
        meta = {"link": self.config.to_meta()}
        with write_folder(folder, kind=_KIND, format_version=1, package="semcom", meta=meta, force=force) as temporary:
            save_model(self.model, temporary / "model.safetensors", recipe={})
            (temporary / "config.json").write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")

    @property
    def report(self) -> SymbolReport:
        size = self.model.image_size
        bits = self.codec.capacity_bits
        return SymbolReport(bits, self.form.mask_symbols, self.form.latent_symbols, source_values=3 * size * size)

    @property
    def model_hash(self) -> str:
        """Identity of the weights."""
        return model_hash(self.model)

    # --- one block of bits a picture ---

    def send(self, images, bits, snr_db=0.0, sequence=None) -> np.ndarray:  # noqa: ARG002  (the interface's)
        return self._send(images, bits, np.arange(len(images)) if sequence is None else sequence)[0]

    def _send(self, images: np.ndarray, bits: np.ndarray, sequence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(symbols, masks)."""
        images = checked_pictures(images, self.model.image_size)
        sequence = np.asarray(sequence) % WRAP
        choice = self._choose(images, bits, sequence)
        scrambled = self.codec.scramble(np.asarray(bits, np.uint8), sequence, choice)
        masks = self.codec.mask_of(scrambled, sequence, choice)
        self._check_weight(masks)
        dense = self.config.sparse == "dense"
        tokens, gains = self.coder.encode(images, masks, self._most + 1, with_dictionary=dense)
        symbols = self.form.send(Message(masks, scrambled, sequence, choice, gains), tokens)
        return symbols[:, interleaver(symbols.shape[1])], masks

    def _choose(self, images: np.ndarray, bits: np.ndarray, sequence: np.ndarray) -> np.ndarray:
        """Which scrambler alternative gives each picture the least error without noise, by the sender's own model."""
        best = np.zeros(len(images), np.int64)
        if self.config.select == 1:
            return best
        least = np.full(len(images), np.inf)
        for choice in range(self.config.select):
            masks = self.codec.encode(bits, sequence, choice)
            tokens, gains = self.coder.encode(images, masks, self._most + 1)
            difference = self.coder.decode(tokens, masks, gains).astype(np.float32) - images
            error = (difference**2).mean(axis=(1, 2, 3))
            best = np.where(error < least, choice, best)
            least = np.minimum(error, least)
        return best

    def _check_weight(self, masks: np.ndarray) -> None:
        kept = (~masks).sum(axis=1)
        if kept.max() > self._most:
            got = f"{kept.max()} kept patches in picture {kept.argmax()}"
            expected = f"at most {self._most} of {masks.shape[1]}: take another key, or mode enumerative"
            raise InputError("bitmap", got=got, expected=expected)

    def recover(self, received: Received, snr_db: float = 0.0) -> Delivered:  # noqa: ARG002  (the interface's)
        decision = self._decide(received)
        images = self.coder.decode(decision.tokens, decision.masks, decision.gain)
        return Delivered(images, decision.bits, decision.ok, decision.masks, decision.sequence)

    def _decide(self, received: Received) -> Decision:
        total = self.form.mask_symbols + self.form.latent_symbols
        if received.symbols.shape[1] != total:
            raise InputError("symbols", got=f"{received.symbols.shape[1]} a picture", expected=f"{total}")
        ordered = received.in_order
        decision = self.form.receive(ordered.unbiased, ordered.noise)
        kept = (~decision.masks).sum(axis=1)
        for row in np.flatnonzero((kept < 1) | (kept > self._most)):  # bitmap, after a failed check
            decision.masks[row] = np.arange(decision.masks.shape[1]) >= self._most
            decision.ok[row] = False
        return decision

    # --- bytes over pictures ---

    def transmit(self, images: np.ndarray, payload: bytes = b"", *, stream: int = 0, split: bool = False) -> TxFrame:
        """Send pictures with bytes in their masks.

        Args:
            images: (pictures, H, W, 3) uint8 of the model's size; larger ones are cut by `cut_tiles`.
            payload: what the masks carry; pictures beyond it carry zeros.
            stream: number of the stream, for the receiver's eyes.
            split: send the pictures again as often as the payload needs.
        Raises:
            InputError: if the payload is larger than the pictures carry and `split` is off; says both sizes.
        """
        images = checked_pictures(images, self.model.image_size)
        needed = self.splitter.pictures(len(payload))
        if needed > len(images) and not split:
            have, room = len(images), self.splitter.largest_payload(len(images))
            got = f"{8 * len(payload)} bits, for which it takes {needed} pictures"
            expected = f"at most {max(8 * room, 0)} bits in {have} pictures of {self.codec.capacity_bits} bits"
            hint = "more pictures, a lower mask ratio, or --split, which sends them again"
            raise InputError("payload", got=got, expected=expected, hint=hint)
        pieces = self.splitter.split(make_frame(payload, stream))
        rows = max(len(pieces), len(images))
        if rows > MAX_PICTURES:
            raise InputError("pictures", got=rows, expected=f"at most {MAX_PICTURES}")
        bits = np.zeros((rows, self.codec.capacity_bits), np.uint8)
        bits[: len(pieces)] = pieces
        sequence = np.arange(rows)
        parts, masks = [], []
        for begin in range(0, rows, 1024):
            at = np.arange(begin, min(begin + 1024, rows))
            sent, mask = self._send(images[at % len(images)], bits[at], sequence[at])
            parts.append(sent)
            masks.append(mask)
        symbols = np.concatenate(parts)
        report = replace(self.report, energy=float(power(symbols).mean()))
        return TxFrame(symbols, report, sequence, len(pieces), np.concatenate(masks))

    def receive(self, received: Received) -> RxFrame:
        """Pictures and payload of received symbols.

        Args:
            received: what a channel's equaliser made of the symbols (pictures, symbols); see `Channel.apply`, and
                `PilotPattern.equalise` for symbols as an antenna has them.
        """
        rows = len(received.symbols)
        noise = np.broadcast_to(received.noise, (rows, received.noise.shape[1]))
        parts = [
            self.recover(Received(received.symbols[at : at + 1024], noise[at : at + 1024]))
            for at in range(0, rows, 1024)
        ]
        bits, ok = np.concatenate([one.bits for one in parts]), np.concatenate([one.ok for one in parts])
        sequence = np.concatenate([np.asarray(one.sequence) for one in parts])
        sequence += WRAP * np.round((np.arange(rows) - sequence) / WRAP).astype(int)  # nearest to its row
        good = np.flatnonzero(ok)
        joined = self.splitter.join((int(sequence[row]), bits[row]) for row in good if sequence[row] >= 0)
        unchecked = np.packbits(bits.ravel()).tobytes()
        masks = np.concatenate([np.asarray(one.masks) for one in parts])
        images = np.concatenate([one.images for one in parts])
        return RxFrame(images, joined.payload, masks, ok, sequence, joined.missing, joined.reason, unchecked)
