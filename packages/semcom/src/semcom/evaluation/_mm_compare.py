"""The second system and its rivals on the same pictures, noise and symbols; streams, and resumes by point.

Every selection rule sees the same candidates. The judge scores, and never selects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold.progress import progress
from ninefold.report import Table
from ninefold.run import Run

from semcom.baselines import CoarseOnly, LinearLink, TextOnly, without_text
from semcom.datasets import Captioned, caption
from semcom.evaluation._metrics import psnr, ssim
from semcom.evaluation._mm_metrics import LEAST_KID, Judged, gap_closed, joint_score, judged, kid, kid_blocks, paired
from semcom.links import PictureLink, carry
from semcom.models import JsccCoder, Judge
from semcom.multimodal import RULES, AlphaTable, Evidence, MMSemCom, ReceivedText, choose, fit_alpha, unsharp
from semcom.multiuser import SUPERPOSABLE, SuperposedLink, User
from semcom.phy import Channel, power

COARSE, SHARPENED, LINEAR, OWN_COARSE, NO_TEXT, TEXT_ONLY, SUPERPOSED = (
    "coarse picture", "unsharp mask", "linear picture", "own coarse picture", "without text", "text only",
    "superposed with one more",
)  # fmt: skip
MM_ARMS = (*RULES, COARSE, SHARPENED, LINEAR, OWN_COARSE, NO_TEXT, TEXT_ONLY, SUPERPOSED)
_CHUNK = 64


@dataclass
class Contest:
    """What a comparison needs.

    Attributes:
        link: the method.
        coarse: coder of the rival that spends all symbols on the picture; the link's own features if None.
        judge: independent classifier, or None.
        data: test pictures with captions and classes.
        candidates: K.
        linear: the best linear link of as many symbols, fitted on training pictures, or None.
    """

    link: MMSemCom
    coarse: JsccCoder | None
    judge: Judge | None
    data: Captioned
    candidates: int = 8
    linear: LinearLink | None = None

    def arms(self, channels: Sequence[str] = ()) -> list[str]:
        """Arms that can be measured with these parts over these channels."""
        missing = {LINEAR} if self.linear is None else set()
        over = [Channel.from_spec(spec) for spec in channels]
        if any(one.kind not in SUPERPOSABLE or one.csi != "perfect" for one in over):
            missing.add(SUPERPOSED)
        return [arm for arm in MM_ARMS if arm not in missing]


def compare_mm(
    contest: Contest, channels: Sequence[str], snrs: Sequence[float], seeds: int, arms: Sequence[str] | None = None,
    run: Run | None = None, first_seed: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Each arm at each channel, SNR and seed: rows of means, with the scores of each picture for paired tests.

    A point's arms are measured together; a run that was cut off goes on at the point it was in.
    """
    names = contest.arms(channels) if arms is None else list(arms)
    unknown = [name for name in names if name not in contest.arms(channels)]
    if unknown or not names:
        raise InputError("arms", got=unknown or "none", expected=f"some of {', '.join(contest.arms(channels))}")
    points = [(spec, snr, first_seed + seed) for spec in channels for snr in snrs for seed in range(seeds)]
    done = [] if run is None else run.metrics()
    whole = len(done) // len(names)
    done = done[: whole * len(names)]
    if run is not None:
        run.rewind(len(done))
    source = None if contest.judge is None else judged(contest.judge, contest.data.images, contest.data.labels)
    with progress(len(points), "points") as bar:
        bar.advance(whole)
        for spec, snr, seed in points[whole:]:
            for row in _point(contest, names, Channel.from_spec(spec), snr, seed, source):
                row = {"arm": row.pop("arm"), "channel": spec, "snr_db": snr, "seed": seed, **row}
                if run is not None:
                    run.log(**row)
                done.append(row)
            bar.advance(note=f"{spec}, {snr:g} dB")
    return done


def _point(
    contest: Contest, names: Sequence[str], channel: Channel, snr: float, seed: int, source: Judged | None
) -> Iterator[dict[str, Any]]:
    """Rows of one channel, SNR and seed."""
    scores: dict[str, dict[str, list[np.ndarray]]] = {name: {} for name in names}
    counts: dict[str, dict[str, Any]] = {}
    data = contest.data
    for begin in range(0, len(data.images), _CHUNK):
        rows = np.arange(begin, min(begin + _CHUNK, len(data.images)))
        part = data.taken(rows)
        for name, (images, counted) in _pictures(contest, names, part, rows, channel, snr, seed).items():
            kept = scores[name]
            kept.setdefault("psnr", []).append(psnr(images, part.images))
            kept.setdefault("ssim", []).append(ssim(images, part.images))
            counted = dict(counted)
            read = counted.pop("text_right", None)
            if read is not None:
                kept.setdefault("text_right", []).append(read)
            counts[name] = counted
            if contest.judge is not None:
                said = judged(contest.judge, images, part.labels)
                for key in ("right", "confidence", "features"):
                    kept.setdefault(key, []).append(getattr(said, key))
    for name in names:
        joined = {key: np.concatenate(parts) for key, parts in scores[name].items()}
        row: dict[str, Any] = {"arm": name, "psnr": float(joined["psnr"].mean()), "ssim": float(joined["ssim"].mean())}
        items = {"psnr": joined["psnr"]}
        if "text_right" in joined:
            row["text_right"] = float(joined["text_right"].mean())
        if source is not None:
            row["accuracy"], row["confidence"] = (float(joined[key].mean()) for key in ("right", "confidence"))
            enough = len(joined["features"]) >= LEAST_KID
            row["kid"] = kid(joined["features"], source.features) if enough else None
            items |= {"right": joined["right"], "confidence": joined["confidence"]}
            items["kid"] = np.array(kid_blocks(joined["features"], source.features))
        rounded = {key: [round(float(one), 5) for one in values] for key, values in items.items()}
        yield {**row, **counts[name], "items": rounded}


def _pictures(
    contest: Contest, names: Sequence[str], part: Captioned, rows: np.ndarray, channel: Channel, snr: float, seed: int
) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
    """Pictures of each arm, and its symbols and energy."""
    link, found = contest.link, {}

    def generator() -> np.random.Generator:
        return np.random.default_rng([seed, int(rows[0])])

    def ours(one: MMSemCom, captions: list[str] | None, count: int) -> tuple[Evidence | None, np.ndarray, dict]:
        sent = one.transmit(part.images, captions, snr)
        received = channel.apply(sent.symbols, snr, generator())
        answer = one.receive(
            received, snr, num_candidates=count, select="first", seed=seed, rows=rows, truth=part.images
        )
        total = sent.report.symbols + received.overhead
        counted = {"symbols": total, "text_symbols": sent.report.text_symbols, "energy": sent.report.energy,
                   "text_arrived": float(answer.text.present.mean()),
                   "text_right": _text_right(one, answer.text, part)}  # fmt: skip
        return answer.evidence, answer.coarse, counted

    if any(name in RULES or name == OWN_COARSE for name in names):
        evidence, coarse, counted = ours(link, part.captions, contest.candidates)
        assert evidence is not None
        for name in names:
            if name in RULES:
                alpha = float(link.alpha_of(name).at(np.array(snr)))
                found[name] = choose(evidence, name, alpha, seed, rows).images, counted
            elif name == OWN_COARSE:
                found[name] = coarse, counted
    more: dict[str, Callable[[], tuple[np.ndarray, dict[str, Any]]]] = {
        COARSE: lambda: _coarse(contest, ours, part, channel, snr, generator()),
        SHARPENED: lambda: _sharpened(*_coarse(contest, ours, part, channel, snr, generator())),
        LINEAR: lambda: _alone(contest.linear, part, channel, snr, generator()),
        NO_TEXT: lambda: _no_text(ours, link, contest.candidates),
        TEXT_ONLY: lambda: _text_only(contest, part, rows, channel, snr, seed, generator()),
        SUPERPOSED: lambda: _superposed(contest, part, rows, channel, snr, seed),
    }
    for name, measure in more.items():
        if name in names:
            found[name] = measure()
    return found


def _text_right(link: MMSemCom, text: ReceivedText, part: Captioned) -> np.ndarray | None:
    """(rows,) whether the class read off the received text alone, the class name nearest to it, is right."""
    if not text.present.any():
        return None
    names = link.text_features.embed_text([caption(name) for name in part.classes])
    return (text.vectors @ names.T).argmax(axis=1) == part.labels


def _sharpened(images: np.ndarray, counted: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    return unsharp(images), counted


def _no_text(ours: Any, link: MMSemCom, count: int) -> tuple[np.ndarray, dict[str, Any]]:
    evidence, _, counted = ours(without_text(link), None, count)
    return choose(evidence, "image").images, counted


def _coarse(
    contest: Contest, ours: Any, part: Captioned, channel: Channel, snr: float, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, Any]]:
    """All symbols for the picture, no text, no candidates."""
    link = contest.link
    if contest.coarse is None:
        _, coarse, counted = ours(without_text(link), None, 0)
        return coarse, counted
    return _alone(CoarseOnly(contest.coarse, link.config.symbols, link.config.size), part, channel, snr, rng)


def _alone(
    rival: PictureLink | None, part: Captioned, channel: Channel, snr: float, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, Any]]:
    """A rival that sends the picture and nothing else."""
    assert rival is not None
    nothing = np.zeros((len(part.images), 0), np.uint8)
    delivered, report = carry(rival, part.images, nothing, channel, snr, rng)
    return delivered.images, {"symbols": report.symbols, "text_symbols": 0, "energy": report.energy}


def _text_only(
    contest: Contest, part: Captioned, rows: np.ndarray, channel: Channel, snr: float, seed: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, dict[str, Any]]:  # fmt: skip
    rival = TextOnly(contest.link)
    symbols = rival.send(part.captions)
    received = channel.apply(symbols, snr, rng)
    total = symbols.shape[1] + received.overhead
    counted = {"symbols": total, "text_symbols": symbols.shape[1], "energy": float(power(symbols).mean())}
    return rival.receive(received, contest.candidates, seed, rows=rows), counted


def _superposed(
    contest: Contest, part: Captioned, rows: np.ndarray, channel: Channel, snr: float, seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """The link with a second user, who sends the next picture, in every symbol."""
    other = part.taken(np.roll(np.arange(len(rows)), 1))
    seeds = [seed * 1000 + int(rows[0]), seed * 1000 + int(rows[0]) + 500_000]
    users = [
        User(one.images, one.captions, channel, snr, seed=number)
        for one, number in zip((part, other), seeds, strict=True)
    ]
    both = SuperposedLink([contest.link] * 2)
    result = both.carry(users, receivers=[0], num_candidates=contest.candidates, seed=seed, rows=rows)[0]
    report = result.report
    counted = {"symbols": report.symbols, "text_symbols": report.text_symbols, "energy": report.energy}
    return result.received.images, counted


def alpha_on_validation(
    link: MMSemCom, data: Captioned, snrs: Sequence[float], rule: str = "multimodal", candidates: int = 8,
    channel: Channel | None = None, seed: int = 1,
) -> tuple[AlphaTable, dict[float, np.ndarray]]:  # fmt: skip
    """alpha by SNR, fitted on validation pictures; see `fit_alpha`."""
    over, evidence = channel or Channel(), {}
    for snr in snrs:
        sent = link.transmit(data.images, data.captions, snr)
        received = over.apply(sent.symbols, snr, np.random.default_rng([seed, 3]))
        answer = link.receive(received, snr, num_candidates=candidates, select="first", seed=seed, truth=data.images)
        assert answer.evidence is not None
        evidence[snr] = answer.evidence
    return fit_alpha(evidence, rule)


def items_of(rows: Sequence[Mapping[str, Any]], arm: str, snr: float, score: str = "psnr") -> np.ndarray:
    """Scores of each picture of an arm at an SNR, seed after seed."""
    found = [row["items"][score] for row in rows if row["arm"] == arm and row["snr_db"] == snr]
    if not found:
        raise InputError("arm", got=f"{arm!r} at {snr:g} dB", expected="one that was measured")
    return np.concatenate([np.asarray(one, np.float64) for one in found])


def compare_mm_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One line an arm and SNR, means over seeds and channels; the first note says how the published rule fares."""
    table = Table(["arm", "SNR, dB", "PSNR, dB", "judge accuracy, %", "KID x 1000", "symbols"])
    groups: dict[tuple[float, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["snr_db"], row["arm"]), []).append(row)
    for (snr, arm), members in groups.items():

        def mean(key: str, scale: float, digits: int, members: list[Mapping[str, Any]] = members) -> float | None:
            values = [one[key] for one in members if one.get(key) is not None]
            return round(scale * float(np.mean(values)), digits) if values else None

        table.rows.append(
            [arm, snr, mean("psnr", 1, 2), mean("accuracy", 100, 1), mean("kid", 1000, 2), members[0]["symbols"]]
        )
    table.notes = _notes(rows)
    return table


def _notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the paired scores say."""
    notes = []
    arms, snrs = {row["arm"] for row in rows}, sorted({row["snr_db"] for row in rows})
    simpler = [arm for arm in ("closest-to-coarse", "medoid", "image", "text", "first") if arm in arms]
    if "published" in arms and simpler:
        losses = []
        for snr in snrs:
            own = items_of(rows, "published", snr)
            gains = {arm: paired(items_of(rows, arm, snr), own) for arm in simpler}
            best = max(gains, key=lambda arm: gains[arm].gain)
            if gains[best].low > 0:
                losses.append(f"{best} by {gains[best].gain:.2f} dB at {snr:g} dB")
        said = f"The published rule loses in PSNR to a simpler one: {', '.join(losses)}."
        notes.append(said if losses else "No simpler rule beats the published one in PSNR (paired 95 % interval).")
    for snr in snrs:
        if not {"multimodal", "random", "oracle"} <= arms:
            break
        own, chance, best = (items_of(rows, arm, snr) for arm in ("multimodal", "random", "oracle"))
        gain = paired(own, chance)
        share = gap_closed(float(own.mean()), float(chance.mean()), float(best.mean()))
        text = (
            f"{snr:g} dB: multimodal by random {gain.gain:+.3f} dB [{gain.low:.3f}, {gain.high:.3f}], p = {gain.p:.2g}"
        )
        text += f", {100 * share:.0f} % of the gap to the oracle" if np.isfinite(share) else ", no gap to the oracle"
        if {"image", "text"} <= arms and "confidence" in rows[0]["items"]:
            three = ("multimodal", "image", "text")
            joint = joint_score(
                {arm: items_of(rows, arm, snr) for arm in three},
                {arm: items_of(rows, arm, snr, "confidence") for arm in three},
            )
            text += "; standardised PSNR and confidence " + ", ".join(f"{arm} {joint[arm]:+.3f}" for arm in three)
        notes.append(text + ".")
    read = {row["snr_db"]: row["text_right"] for row in rows if row["arm"] == "multimodal" and row.get("text_right")}
    if read:
        said = ", ".join(f"{100 * share:.0f} % at {snr:g} dB" for snr, share in read.items())
        notes.append(f"Reading the class off the received text alone, without any picture, is right in {said}.")
    notes.append("Symbols: all complex symbols of a picture, its text among them. KID: features of the judge.")
    return notes
