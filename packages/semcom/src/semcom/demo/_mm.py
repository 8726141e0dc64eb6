"""The main job on the embedded default: small photographs and their captions, drawn eight times, one kept."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from ninefold.arms import Arms
from ninefold.progress import progress
from ninefold.report import Table
from ninefold.systems import DemoResult

from semcom.baselines import TextOnly, without_text
from semcom.datasets import Captioned, thumbnails
from semcom.evaluation import curves, picture_strip, psnr
from semcom.models import Judge, load_judge
from semcom.multimodal import RULES, Evidence, MMSemCom, choose
from semcom.multiuser import MultiUserLink, SuperposedLink, User
from semcom.phy import Channel

SNRS, MAIN, CANDIDATES, EACH = (-5.0, 0.0, 5.0, 10.0), 0.0, 8, 4
COARSE, MEAN = "coarse picture", "mean"
DRAWN = ("multimodal", "published", "random", "oracle", MEAN, COARSE)


def mm_demo(seed: int) -> DemoResult:
    """Sixteen small pictures with captions from -5 to 10 dB: every rule on the same candidates, and the rivals."""
    whole = thumbnails()
    data = whole.taken(np.concatenate([np.flatnonzero(whole.labels == label)[:EACH] for label in range(4)]))
    link, judge = MMSemCom.from_pretrained("mm-32"), load_judge("judge")
    pictures: dict[str, dict[float, np.ndarray]] = {}
    evidence: dict[float, Evidence] = {}
    with progress(len(SNRS) + 2, "transmissions") as bar:
        for snr in SNRS:
            evidence[snr], own = _drawn(link, data, data.captions, snr, seed)
            for rule in RULES:
                kept = choose(evidence[snr], rule, float(link.alpha_of(rule).at(np.array(snr))), seed)
                pictures.setdefault(rule, {})[snr] = kept.images
            pictures.setdefault("own coarse picture", {})[snr] = own
            pictures.setdefault(COARSE, {})[snr] = _coarse(link, data, snr, seed)
            bar.advance(note=f"{snr:g} dB")
        bare, _ = _drawn(without_text(link), data, None, MAIN, seed)
        pictures["without text"] = {MAIN: choose(bare, "image").images}
        bar.advance(note="without text")
        pictures["text only"] = {MAIN: _text_only(link, data, seed)}
        bar.advance(note="text only")
    found = {name: {snr: psnr(one, data.images) for snr, one in by.items()} for name, by in pictures.items()}
    quality = {name: {snr: float(one.mean()) for snr, one in by.items()} for name, by in found.items()}
    arms = Arms(
        scores={name: by[MAIN] for name, by in found.items()}, ours="multimodal", unit="dB", margin=0.05,
        measured="picture quality (PSNR) at 0 dB of channel SNR", shown=["oracle"],
    )  # fmt: skip
    distance = _distances(judge, data.images)
    table = Table(["arm", "PSNR, 0 dB", "PSNR, 10 dB", "Judge's distance, 0 dB, %", "symbols"])
    for name, by in quality.items():
        far = round(distance(pictures[name][MAIN]), 1)
        last = round(by[10.0], 2) if 10.0 in by else None
        table.rows.append([name, round(by[MAIN], 2), last, far, link.report.symbols])
    table.notes.append(
        f"{len(data.images)} pictures of 32 x 32, bandwidth ratio {link.report.bandwidth_ratio:.4f}: "
        f"{link.report.latent_symbols} symbols for the picture and {link.report.text_symbols} for its text, "
        f"energy 1 a symbol, AWGN, {CANDIDATES} candidates, {link.generator.steps} steps each."  # type: ignore[union-attr]
    )
    main = {name: by[MAIN] for name, by in quality.items()}
    near = {name: distance(pictures[name][MAIN]) for name in ("multimodal", COARSE)}
    single = max((name for name in RULES if name not in ("multimodal", "oracle", MEAN)), key=lambda name: main[name])
    gain = main["multimodal"] - main["random"]
    choice = f"At 0 dB the choice by image and text is {gain:+.2f} dB from a random candidate, and "
    choice += f"{main['multimodal'] - main[single]:+.2f} dB from the best simpler rule, {single}."
    seen = f"PSNR favours blur. In the features of an independent judge the kept picture is {near['multimodal']:.0f} % "
    seen += f"from its source, and the coarse picture of as many symbols {near[COARSE]:.0f} %."
    return DemoResult(
        data=f"four photographs (CC0 and public domain) as {len(data.images)} pictures of 32 x 32 with captions",
        arms=arms,
        table=table,
        figures=_figures(data, pictures, evidence[MAIN], quality) if find_spec("matplotlib") else [],
        notes=[
            choice,
            seen,
            _of_users(link, data, seed),
            "The models saw 7,500 pictures of CIFAR-10; of what these photographs show only the cat was among them.",
        ],
        looking_at="Each small photograph is sent as 120 symbols of picture and 8 of text; the receiver draws eight "
        "pictures from what arrives and keeps one.",
        glossary={
            "candidate": "a picture that the receiver's diffusion model draws from what arrived, by a seed of its own",
            "coarse picture": "what the convolutional decoder makes of the received symbols: near on average, blurred",
            "Judge's distance": "mean squared difference of an independent classifier's features to those of the "
            "source, in percent of that between two different source pictures",
            "multimodal": "the default rule: by what both image and text features say of the candidates",
            "oracle": "picks the candidate nearest to the source, which no receiver has: the limit of any choice",
            "published": "the publication's rule: image and text error, standardised over the candidates, in one sum",
        },
    )


def _drawn(
    link: MMSemCom, data: Captioned, captions: list[str] | None, snr: float, seed: int
) -> tuple[Evidence, np.ndarray]:
    """Candidates of one transmission with their errors, and the link's own coarse pictures."""
    sent = link.transmit(data.images, captions, snr)
    received = Channel().apply(sent.symbols, snr, np.random.default_rng([seed, 0]))
    answer = link.receive(received, snr, num_candidates=CANDIDATES, select="first", seed=seed, truth=data.images)
    assert answer.evidence is not None
    return answer.evidence, answer.coarse


def _coarse(link: MMSemCom, data: Captioned, snr: float, seed: int) -> np.ndarray:
    """The rival that spends all symbols on the picture."""
    rival = without_text(link)
    received = Channel().apply(rival.transmit(data.images, None, snr).symbols, snr, np.random.default_rng([seed, 0]))
    return rival.receive(received, snr, num_candidates=0, seed=seed).images


def _text_only(link: MMSemCom, data: Captioned, seed: int) -> np.ndarray:
    rival = TextOnly(link)
    received = Channel().apply(rival.send(data.captions), MAIN, np.random.default_rng([seed, 0]))
    return rival.receive(received, CANDIDATES, seed)


def _distances(judge: Judge, sources: np.ndarray) -> Callable[[np.ndarray], float]:
    """Mean distance of pictures to their sources in the judge's features, in percent of that between two sources."""
    wanted = judge.judge(sources)[1]
    apart = ((wanted[:, None] - wanted[None]) ** 2).mean(axis=2).sum() / (len(wanted) * (len(wanted) - 1))

    def distance(images: np.ndarray) -> float:
        return float(100 * ((judge.judge(images)[1] - wanted) ** 2).mean() / apart)

    return distance


def _of_users(link: MMSemCom, data: Captioned, seed: int) -> str:
    """One sentence on four users: orthogonal, alone and superposed."""
    parts = [data.taken(np.arange(place, len(data.images), 4)) for place in range(4)]
    people = [User(part.images, part.captions, snr_db=10.0, seed=1000 * seed + n) for n, part in enumerate(parts)]
    band = MultiUserLink([link] * 4, [10.0] * 4)
    words: dict[str, Any] = {"num_candidates": 0, "seed": seed}
    together = band.carry(people, **words)
    above = SuperposedLink([link] * 4).carry(people, **words)
    alone = [band.alone(number, user, **words) for number, user in enumerate(people)]
    level = [
        float(np.mean([psnr(one.received.images, user.images).mean() for one, user in zip(some, people, strict=True)]))
        for some in (together, alone, above)
    ]
    return (
        f"Four users at 10 dB in the band of one: {level[0]:.1f} dB on orthogonal slots ({level[1]:.1f} dB each alone "
        f"with as many symbols), {level[2]:.1f} dB superposed."
    )


def _figures(
    data: Captioned, pictures: dict[str, dict[float, np.ndarray]], evidence: Evidence,
    quality: dict[str, dict[float, float]],
) -> list[tuple[str, Any]]:  # fmt: skip
    shown = np.arange(0, len(data.images), 2)
    strips = [("source", data.images[shown]), ("coarse picture", pictures[COARSE][MAIN][shown])]
    strips += [(f"candidate {number + 1}", evidence.candidates[shown, number]) for number in range(2)]
    strips += [(name, pictures[name][MAIN][shown]) for name in ("multimodal", "oracle")]
    lines = {name: (list(quality[name]), list(quality[name].values())) for name in DRAWN}
    return [
        (
            "Source, what arrives at 0 dB, two of eight candidates, and which were kept",
            picture_strip(strips, len(shown)),
        ),
        (
            "PSNR over the SNR, of some rules and of the blurred pictures",
            curves(lines, "Es/N0, dB", "PSNR, dB"),
        ),
    ]
