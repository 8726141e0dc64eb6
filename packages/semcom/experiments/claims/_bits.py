"""Experiments on bits: whether payloads arrive, silent errors, the LDPC code, detection of masks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ninefold_lab import Budget
from semcom.paper import MaskCodec
from semcom.phy import Channel, CodedBlock, Modulation, ldpc, outage_rayleigh


def mask_block(ratio: float) -> CodedBlock:
    """The coded mask block of 64 patches at a ratio: payload and sequence number, the check apart."""
    return CodedBlock(MaskCodec(64, ratio).capacity_bits + 16)


def _blocks(block: CodedBlock, count: int, snr: float, rng: np.random.Generator, spec: str = "awgn") -> tuple:
    """(whether each block passed its check, wrong bits of each)."""
    passed, wrong, channel = [], [], Channel.from_spec(spec)
    for begin in range(0, count, 2000):
        bits = rng.integers(0, 2, (min(2000, count - begin), block.bits), dtype=np.uint8)
        received = channel.apply(block.send(bits), snr, rng)
        found, good = block.receive(received.unbiased, received.noise)
        passed.append(good)
        wrong.append((found != bits).sum(axis=1))
    return np.concatenate(passed), np.concatenate(wrong)


def arrival(budget: Budget, seed: int) -> Mapping[str, float | np.ndarray]:
    """Share of mask blocks that pass their check, and bit errors in those that do, by mask ratio (32 x 32 pictures).

    Blocks of at least 80 bits (check and sequence number included) at 4 dB, shorter ones at 5 dB; QPSK, rate 1/2. In
    slow fading at 10 dB the share is shown beside the outage bound of the block's rate.
    """
    rng, scores = np.random.default_rng(seed), {}
    count = 4000 if budget.form == "full" else 1000
    errors = sent = 0
    for ratio in (0.5, 0.6, 0.75, 0.85, 0.9):
        block = mask_block(ratio)
        snr = 4.0 if block.bits + 16 >= 80 else 5.0
        passed, wrong = _blocks(block, count, snr, rng)
        scores[f"passed, r = {ratio}, {snr:g} dB"] = passed.astype(np.float64)
        errors += int(wrong[passed].sum())
        sent += int(passed.sum()) * block.bits
    scores["bit error rate where the check passed"] = errors / max(sent, 1)
    fading, _ = _blocks(mask_block(0.75), count // 4, 10.0, rng, "rayleigh:image")
    scores["failed in slow fading, 10 dB"] = 1.0 - float(fading.mean())
    block = mask_block(0.75)
    scores["outage bound there"] = outage_rayleigh((block.bits + 16) / block.symbols, 10.0)
    return scores


def silent_errors(budget: Budget, seed: int) -> Mapping[str, float]:
    """Blocks whose check held though bits were wrong, of 20,000 mask blocks at 1 dB."""
    count = 20_000 if budget.form == "full" else 2000
    passed, wrong = _blocks(mask_block(0.75), count, 1.0, np.random.default_rng(seed))
    return {"silent errors": float((passed & (wrong > 0)).sum()), "failed share": 1.0 - float(passed.mean())}


def code(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Block errors of the (171, 342) code, QPSK, min-sum of 20 iterations, at 2.5 and 3 dB."""
    rng, made, modulation = np.random.default_rng(seed), ldpc(171, 342), Modulation("qpsk")
    scores = {}
    for snr in (2.5, 3.0):
        wrong = []
        for _ in range(2 if budget.form == "full" else 1):
            bits = rng.integers(0, 2, (1000, 171), dtype=np.uint8)
            received = Channel().apply(modulation.modulate(made.encode(bits)), snr, rng)
            decoded, _ = made.decode(modulation.llr(received.unbiased, received.noise))
            wrong.append((decoded != bits).any(axis=1))
        scores[f"block errors, {snr:g} dB"] = np.concatenate(wrong).astype(np.float64)
    return scores


def detection(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Wrong masks of 196 patches, 49 kept, uncoded BPSK at 7 dB: the n largest LLRs, and single decisions."""
    rng, codec = np.random.default_rng(seed), MaskCodec(196, 0.75)
    count = 10_000 if budget.form == "full" else 2000
    masks = codec.encode(rng.integers(0, 2, (count, codec.capacity_bits), dtype=np.uint8))
    modulation = Modulation("bpsk")
    received = Channel().apply(modulation.modulate(masks.astype(np.uint8)), 7.0, rng)
    llr = modulation.llr(received.unbiased, received.noise)
    single = ((llr < 0) != masks).any(axis=1).astype(np.float64)
    return {
        "top-n": (codec.detect(llr) != masks).any(axis=1).astype(np.float64),
        "single decisions": single,
        "a quarter of single decisions": 0.25 * single,
    }
