"""The method and its rivals on the same pictures, bits, channel draws and symbols; streams, and resumes by point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold.progress import progress
from ninefold.report import Table
from ninefold.run import Run

from semcom.baselines import (
    CODECS,
    SCHEMES,
    BitsApart,
    Harmonic,
    JsccLink,
    MeanFill,
    SeparateLink,
    dense_tokens,
    ideal_over,
    uncoded_bitmap,
)
from semcom.carrier import CarrierImageLink, LinkConfig
from semcom.evaluation._metrics import psnr, ssim
from semcom.links import PictureLink, carry
from semcom.models import JsccCoder, load_jscc
from semcom.phy import Channel

_CHUNK = 128
ARMS = (
    "carrier", "bits sent apart", "mean fill", "harmonic inpainting", "dense tokens", "uncoded bitmap",
    "JSCC + bits apart", "DeepJSCC + bits apart", *CODECS,
)  # fmt: skip


BOUND = "jpeg at capacity"
_SHARES = (1.0, 0.75, 0.5, 0.25)  # of the capacity of AWGN at the mean SNR


def make_arm(
    name: str, model: Any, coder: JsccCoder, config: LinkConfig, scheme: tuple[str, str] = ("qpsk", "ldpc:1/2")
) -> PictureLink:
    """The arm of a name, with as many payload bits and at most as many symbols as the carrier link (dense apart).

    Args:
        name: one of `ARMS`.
        model: masked autoencoder.
        coder: joint source-channel coder of the arms that say no more than JSCC.
        config: of the carrier link.
        scheme: modulation and code of a codec arm, chosen on validation pictures by `tune_scheme`.
    """
    carrier = CarrierImageLink(model, config)
    report, size = carrier.report, model.image_size
    if name == "carrier":
        return carrier
    simple = {"bits sent apart": BitsApart, "mean fill": MeanFill, "harmonic inpainting": Harmonic}
    if name in simple:
        return simple[name](model, config)
    if name in ("dense tokens", "uncoded bitmap"):
        return (dense_tokens if name == "dense tokens" else uncoded_bitmap)(model, config)
    if name == "DeepJSCC + bits apart":
        return JsccLink(load_jscc("deepjscc-c8"), report.payload_bits, size, budget=report.symbols)
    if name == "JSCC + bits apart":
        return JsccLink(coder, report.payload_bits, size, budget=report.symbols)
    if name in CODECS:
        return SeparateLink(name, report.latent_symbols, report.payload_bits, size, *scheme)
    raise InputError("arm", got=repr(name), expected=f"one of {', '.join(ARMS)}")


def tune_scheme(
    codec: str, symbols: int, channel: Channel, snr_db: float, pictures: np.ndarray, seed: int = 0
) -> tuple[str, str]:
    """The modulation and code rate that give a codec its best mean PSNR on validation pictures, over all `SCHEMES`."""
    best, chosen = -np.inf, SCHEMES[0]
    for scheme in SCHEMES:
        link = SeparateLink(codec, symbols, 0, pictures.shape[1], *scheme)
        empty = np.zeros((len(pictures), 0), np.uint8)
        delivered, _ = carry(link, pictures, empty, channel, snr_db, np.random.default_rng(seed))
        score = float(psnr(delivered.images, pictures).mean())
        if score > best:
            best, chosen = score, scheme
    return chosen


def measure_arm(
    link: PictureLink,
    pictures: np.ndarray,
    channel: Channel,
    snr_db: float,
    seed: int,
    *,
    bits: np.ndarray | None = None,
) -> dict[str, Any]:
    """Scores of one arm: PSNR and SSIM of each picture, checks, bit errors, symbols.

    Args:
        pictures: (n, H, W, 3) uint8.
        bits: (n, payload bits); random ones of the seed if left out.
    Returns: `psnr` and `ssim` (n,), `ok` share, `ber` over pictures whose check held (None if none did) and over all,
        and the report.
    """
    rng = np.random.default_rng([seed, 1])
    if bits is None:
        source = np.random.default_rng([seed, 0])
        bits = source.integers(0, 2, (len(pictures), link.report.payload_bits), dtype=np.uint8)
    scores, similar, oks, wrong, energy = [], [], [], [], []
    report = link.report
    for begin in range(0, len(pictures), _CHUNK):
        part, sent = pictures[begin : begin + _CHUNK], bits[begin : begin + _CHUNK]
        delivered, report = carry(link, part, sent, channel, snr_db, rng)
        scores.append(psnr(delivered.images, part))
        similar.append(ssim(delivered.images, part))
        oks.append(delivered.ok)
        wrong.append((delivered.bits != sent).sum(axis=1))
        energy.append(report.energy)
    ok, errors = np.concatenate(oks), np.concatenate(wrong)
    count = max(bits.shape[1], 1)
    return {
        "psnr": np.concatenate(scores), "ssim": np.concatenate(similar), "ok": float(ok.mean()),
        "ber": float(errors[ok].mean() / count) if ok.any() else None, "ber_all": float(errors.mean() / count),
        "report": report.to_meta() | {"energy": float(np.mean(energy))},
    }  # fmt: skip


def measure_bound(
    link: SeparateLink, sets: Mapping[str, np.ndarray], channel: Channel, snr_db: float, seed: int
) -> dict[str, Any]:
    """Scores of a codec with an ideal code in a link's symbols; its rate is the best one on validation pictures."""

    def drawn(pictures: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([seed, 1])
        return ideal_over(link.codec.name, pictures, link.picture_symbols, channel, snr_db, share, rng)

    known = sets["validation"]
    best = max(_SHARES, key=lambda share: psnr(drawn(known, share)[0], known).mean())
    images, whole = drawn(sets["test"], best)
    return {
        "psnr": psnr(images, sets["test"]), "ssim": ssim(images, sets["test"]), "ok": float(whole.mean()),
        "ber": 0.0, "ber_all": 0.0, "report": link.report.to_meta(), "scheme": f"{best:g} of capacity",
    }  # fmt: skip


def compare_arms(
    arms: Sequence[str], model: Any, coder: JsccCoder, config: LinkConfig, sets: Mapping[str, np.ndarray],
    channels: Sequence[str], snrs: Sequence[float], seeds: int, run: Run | None = None, first_seed: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Each arm at each channel, SNR and seed; rows of mean scores, logged as they are finished.

    Args:
        arms: of `ARMS`, and `BOUND`.
        sets: pictures to `test` on, and `validation` pictures, on which codec arms choose modulation and rate.
    """
    points = [(arm, spec, snr, seed) for spec in channels for snr in snrs for seed in range(seeds) for arm in arms]
    done = run.metrics() if run is not None else []
    chosen: dict[tuple[str, str, float], tuple[str, str]] = {}
    with progress(len(points), "points") as bar:
        bar.advance(len(done))
        for arm, spec, snr, seed in points[len(done) :]:
            channel = Channel.from_spec(spec)
            scheme = ("qpsk", "ldpc:1/2")
            if arm in CODECS:
                key = (arm, spec, snr)
                latent = CarrierImageLink(model, config).report.latent_symbols
                if key not in chosen:
                    chosen[key] = tune_scheme(arm, latent, channel, snr, sets["validation"])
                scheme = chosen[key]
            if arm == BOUND:
                own = CarrierImageLink(model, config).report
                codec = SeparateLink("jpeg", own.latent_symbols, own.payload_bits, model.image_size)
                found = measure_bound(codec, sets, channel, snr, first_seed + seed)
            else:
                link = make_arm(arm, model, coder, config, scheme)
                found = measure_arm(link, sets["test"], channel, snr, first_seed + seed)
                found["scheme"] = " ".join(scheme)
            chosen_scheme = {"scheme": found["scheme"]} if arm in (*CODECS, BOUND) else {}
            row = {
                "arm": arm, "channel": spec, "snr_db": snr, "seed": first_seed + seed,
                "psnr": float(found["psnr"].mean()), "ssim": float(found["ssim"].mean()), "ok": found["ok"],
                "ber": found["ber_all"], **found["report"], **chosen_scheme,
            }  # fmt: skip
            if run is not None:
                run.log(**row)
            done.append(row)
            bar.advance(note=f"{arm}, {snr:g} dB")
    return done


def compare_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One line an arm, channel and SNR: means over seeds."""
    table = Table(["arm", "channel", "SNR, dB", "PSNR, dB", "payloads whole", "symbols"])
    groups: dict[tuple[str, str, float], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["arm"], row["channel"], row["snr_db"]), []).append(row)
    for (arm, spec, snr), members in groups.items():
        mean = {key: float(np.mean([one[key] for one in members])) for key in ("psnr", "ok")}
        share = f"{100 * mean['ok']:.1f} %"
        table.rows.append([arm, spec, snr, round(mean["psnr"], 2), share, members[0]["symbols"]])
    bits = rows[0]["payload_bits"] if rows else 0
    table.notes.append(f"Each picture carries {bits} payload bits. Symbols: all complex symbols of a picture.")
    return table
