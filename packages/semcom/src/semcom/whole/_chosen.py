"""The better of separate and joint coding for each picture; one bit says which, in symbols that are counted."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from semcom.phy import MAX_VARIANCE, Channel, Received
from semcom.whole._interface import WholeLink, checked_picture
from semcom.whole._joint import JointLink
from semcom.whole._separate import CodecLink

FLAG = 16  # BPSK symbols that say which; they are wrong once in 10^8 pictures at 0 dB


class ChosenLink(WholeLink):
    """The sender decodes both, over a channel of the SNR that it assumes, and sends the one of less error.

    The bit takes `FLAG` symbols of the picture's own: the codec has so many fewer, the joint coder loses its last ones.
    """

    name: ClassVar[str] = "chosen for each picture"
    source: ClassVar[str] = "ours"

    def __init__(self, joint: JointLink, codec: CodecLink, margin_db: float = 0.1) -> None:
        """Args:
        margin_db: the joint coder is sent if it is better by so much, as one draw of the noise shows.
        """
        self.joint, self.codec, self.margin_db, self.ratio = joint, codec, margin_db, joint.ratio

    def symbols(self, height: int, width: int) -> int:
        return self.joint.symbols(height, width)

    def prefers_joint(self, picture: np.ndarray, snr_db: float) -> bool:
        """Whether the joint coder has less error on this picture."""
        height, width = picture.shape[:2]
        separate = self.codec.send_in(picture, snr_db, self.symbols(height, width) - FLAG)
        errors = []
        for seed, (link, sent) in enumerate([(self.joint, self.joint.send(picture, snr_db)), (self.codec, separate)]):
            received = Channel().apply(sent[None], snr_db, np.random.default_rng(seed))
            drawn = link.recover(received, height, width, snr_db)
            errors.append(np.square(drawn.astype(np.float32) - picture).mean())
        return bool(errors[0] * 10 ** (self.margin_db / 10) < errors[1])

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        picture = checked_picture(picture)
        total = self.symbols(*picture.shape[:2])
        joint = self.prefers_joint(picture, snr_db)
        body = self.joint.send(picture, snr_db)[:-FLAG] if joint else self.codec.send_in(picture, snr_db, total - FLAG)
        sent = np.concatenate([np.full(FLAG, 1 if joint else -1, np.complex64), body])
        return (sent / np.sqrt(np.mean(np.abs(sent) ** 2))).astype(np.complex64)

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:
        noise = np.broadcast_to(received.noise, received.symbols.shape)
        said = float((np.real(received.unbiased[0, :FLAG]) / np.maximum(noise[0, :FLAG], 1e-9)).sum())
        body = Received(received.symbols[:, FLAG:], noise[:, FLAG:])
        if said <= 0:
            return self.codec.recover(body, height, width, snr_db)
        symbols = np.pad(body.symbols, ((0, 0), (0, FLAG)))
        noises = np.pad(body.noise, ((0, 0), (0, FLAG)), constant_values=MAX_VARIANCE)
        return self.joint.recover(Received(symbols, noises), height, width, snr_db)
