"""Orthogonal users: each has slots (TDMA) or subcarriers (OFDMA) of its own, its own fading, SNR and power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ninefold.errors import InputError

from semcom.multimodal import MMReport, MMSemCom, RxPictures
from semcom.multiuser._allocation import allocate
from semcom.phy import Channel, Received

ACCESS = ("tdma", "ofdma")


@dataclass(frozen=True)
class User:
    """What one user sends, and over what.

    Attributes:
        images: (rows, H, W, 3) uint8.
        captions: a text each, or None.
        channel: its own.
        snr_db: Es/N0 at power 1, which both sides know.
        power: of its symbols, linear; what counts at its receiver is power times SNR.
        seed: of its fading and noise.
    """

    images: np.ndarray
    captions: Sequence[str | None] | None = None
    channel: Channel = field(default_factory=Channel)
    snr_db: float = 10.0
    power: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not np.isfinite(self.power) or self.power <= 0:
            raise InputError("power", got=self.power, expected="a positive number")
        if np.isnan(self.snr_db):
            raise InputError("SNR", got="NaN", expected="decibels, or inf")

    @property
    def effective_snr_db(self) -> float:
        """SNR at its receiver."""
        return self.snr_db + 10 * float(np.log10(self.power))


@dataclass
class UserResult:
    """What one user's receiver gets, and the symbols it took."""

    received: RxPictures
    report: MMReport


def owners(shares: Sequence[int], access: str) -> np.ndarray:
    """Which user each symbol of a frame belongs to: (sum of shares,) int64.

    TDMA gives each user consecutive symbols. OFDMA deals the subcarriers of the frame's OFDM symbols out so that each
    user is spread evenly over them.
    """
    if access not in ACCESS:
        raise InputError("access", got=repr(access), expected=f"one of {', '.join(ACCESS)}")
    if min(shares, default=0) < 1:
        raise InputError("shares", got=list(shares), expected="at least one symbol a user")
    if access == "tdma":
        return np.repeat(np.arange(len(shares)), shares)
    when = np.concatenate([(np.arange(share) + 0.5) / share for share in shares])
    whose = np.repeat(np.arange(len(shares)), shares)
    return whose[np.lexsort((whose, when))]


class MultiUserLink:
    """Users that share a band without meeting.

    Attributes:
        links: each user's link, cut to its share.
        shares: symbols of each user; the sum is the band.

    Examples:
        >>> import numpy as np
        >>> from semcom import Channel, MMSemCom, MultiUserLink, datasets
        >>> from semcom.multiuser import User

        >>> pictures = datasets.load("embedded", limit=2)
        >>> link = MMSemCom.from_pretrained("mm-32")

        >>> shared = MultiUserLink([link, link], snrs_db=[5.0, 15.0], access="ofdma")
        >>> shared.shares, shared.symbols
        ([64, 64], 128)
        >>> users = [User(pictures, snr_db=snr_db, seed=seed) for seed, snr_db in enumerate((5.0, 15.0))]
        >>> results = shared.carry(users, num_candidates=0)
        >>> [one.received.images.shape for one in results]
        [(2, 32, 32, 3), (2, 32, 32, 3)]
    """

    def __init__(
        self, links: Sequence[MMSemCom], snrs_db: Sequence[float], *, symbols: int | None = None,
        access: str = "tdma", allocation: str = "round-robin",
    ) -> None:  # fmt: skip
        """Args:
        links: one a user; they may be the same.
        snrs_db: Es/N0 of each, for the allocation.
        symbols: of all users for one picture each; the largest of the links' own if left out, so that each user's
            bandwidth shrinks by the number of users. Each share is at most what a link's coder can fill.
        access: `tdma` or `ofdma`.
        allocation: one of `ALLOCATIONS`.
        """
        if not links:
            raise InputError("links", got="none", expected="at least one user")
        demands = [link.report.symbols for link in links]
        least = max(link.text.symbols for link in links) + 1
        total = max(demands) if symbols is None else symbols
        self.shares = allocate(total, demands, snrs_db, allocation, least)
        self.access = access
        self.owner = owners(self.shares, access)
        self.links = [_with_share(link, share) for link, share in zip(links, self.shares, strict=True)]

    @property
    def symbols(self) -> int:
        """Symbols of a frame, in which each user sends one picture."""
        return sum(self.shares)

    def frame(self, users: Sequence[User]) -> tuple[np.ndarray, list[MMReport]]:
        """The frames that all users fill together, and each one's report.

        Returns: (rows, symbols) complex64; a symbol has its user's power.
        """
        self._check(users)
        rows = len(users[0].images)
        frame, reports = np.zeros((rows, self.symbols), np.complex64), []
        for number, (link, user) in enumerate(zip(self.links, users, strict=True)):
            sent = link.transmit(user.images, user.captions, user.effective_snr_db)
            frame[:, self.owner == number] = np.float32(np.sqrt(user.power)) * sent.symbols
            reports.append(replace(sent.report, energy=sent.report.energy * user.power))
        return frame, reports

    def carry(self, users: Sequence[User], **arguments: Any) -> list[UserResult]:
        """Send all users' pictures, let each receiver take its own symbols out of the frame, and receive.

        Args:
            users: one a link, each with as many pictures.
            arguments: of `MMSemCom.receive`.
        """
        frame, reports = self.frame(users)
        results = []
        for number, (link, user, report) in enumerate(zip(self.links, users, reports, strict=True)):
            own = np.ascontiguousarray(frame[:, self.owner == number])
            received = at_power(user, own)
            answer = link.receive(received, user.effective_snr_db, **arguments)
            results.append(UserResult(answer, replace(report, pilot_symbols=received.overhead)))
        return results

    def _check(self, users: Sequence[User]) -> None:
        if len(users) != len(self.links):
            raise InputError("users", got=len(users), expected=f"{len(self.links)}, one a link")
        counts = {len(user.images) for user in users}
        if len(counts) > 1:
            raise InputError("users", got=f"{sorted(counts)} pictures", expected="as many pictures for each")


def at_power(user: User, symbols: np.ndarray) -> Received:
    """A user's channel on symbols that have its power: the receiver knows the power and divides it out."""
    scaled = symbols / np.float32(np.sqrt(user.power))
    return user.channel.apply(scaled, user.effective_snr_db, np.random.default_rng(user.seed))


def _with_share(link: MMSemCom, share: int) -> MMSemCom:
    """The link with as many symbols, as far as its coder fills them."""
    most = link.features.count // 2 + link.text.symbols
    if share > most:
        raise InputError("symbols of a user", got=share, expected=f"at most {most}, what its coder fills")
    return link.with_settings(symbols=share)
