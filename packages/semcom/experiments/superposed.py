"""The rival: all users send at once over the whole band, and each receiver takes the others for noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ninefold.errors import InputError
from semcom.multimodal import MMSemCom
from semcom.multiuser import User, UserResult
from semcom.phy import MAX_VARIANCE, Received, complex_noise, noise_variance

SUPERPOSABLE = ("awgn", "rayleigh", "rician")


class SuperposedLink:
    """Users that meet in every symbol.

    Attributes:
        links: each user's link; all take as many symbols.
    """

    def __init__(self, links: Sequence[MMSemCom]) -> None:
        if not links:
            raise InputError("links", got="none", expected="at least one user")
        counts = {link.report.symbols for link in links}
        if len(counts) > 1:
            raise InputError("links", got=f"{sorted(counts)} symbols", expected="as many symbols for each")
        self.links = list(links)

    @property
    def symbols(self) -> int:
        """Symbols of a frame, in which each user sends one picture."""
        return self.links[0].report.symbols

    def carry(self, users: Sequence[User], **arguments: Any) -> list[UserResult]:
        """Send all at once; see `MultiUserLink.carry`. A user's channel is AWGN, or fades once for a picture.

        Each receiver knows its own gain and all powers, equalises its own signal, and adds the others' powers to the
        noise it reckons with.
        """
        if len(users) != len(self.links):
            raise InputError("users", got=len(users), expected=f"{len(self.links)}, one a link")
        for number, user in enumerate(users):
            if user.channel.kind not in SUPERPOSABLE or user.channel.csi != "perfect":
                got = f"{user.channel.kind} with {user.channel.csi} CSI"
                expected = f"one of {', '.join(SUPERPOSABLE)} with perfect CSI"
                raise InputError(f"channel of user {number + 1}", got=got, expected=expected)
        known = [self._design(users, number) for number in range(len(users))]
        sent = [
            link.transmit(user.images, user.captions, snr)
            for link, user, snr in zip(self.links, users, known, strict=True)
        ]
        total = np.sum([np.sqrt(u.power) * one.symbols for u, one in zip(users, sent, strict=True)], axis=0)
        results = []
        for number in range(len(users)):
            link, user = self.links[number], users[number]
            rng = np.random.default_rng(user.seed)
            gains = np.ones((len(total), 1), np.complex64)
            if user.channel.kind in ("rayleigh", "rician"):
                gains = user.channel.gains(len(total), 1, rng)[0]
            variance = float(noise_variance(user.snr_db))
            signal = gains * total + np.sqrt(variance) * complex_noise(total.shape, rng)
            others = sum(one.power for one in users) - user.power
            square = np.abs(gains) ** 2
            noise = np.minimum((square * others + variance) / np.maximum(square * user.power, 1e-30), MAX_VARIANCE)
            unbiased = signal / np.where(square > 1e-12, gains, 1) / np.sqrt(user.power)
            received = Received((unbiased / (1 + noise)).astype(np.complex64), noise.astype(np.float32))
            answer = link.receive(received, known[number], **arguments)
            report = replace(sent[number].report, energy=sent[number].report.energy * user.power)
            results.append(UserResult(answer, report))
        return results

    @staticmethod
    def _design(users: Sequence[User], number: int) -> float:
        """Es/N0 in dB with the others' power as noise."""
        user, others = users[number], sum(one.power for one in users) - users[number].power
        return float(10 * np.log10(user.power / (others + float(noise_variance(user.snr_db)) + 1e-12)))
