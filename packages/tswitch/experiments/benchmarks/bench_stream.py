"""Streaming at scale: anonymous memory and time of compress, merge and export; `ties` against mergekit's.

    python packages/tswitch/experiments/benchmarks/bench_stream.py --work DIR [--gigabytes 2] [--peer-gigabytes 0.25]

Prints one JSON line for each figure. Needs about seven times the given size in DIR. Every step runs in a process of
its own, whose memory is counted above that after importing. mergekit 0.1.5 runs through `uv run`, in an environment
of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import yaml
from ninefold.measure import emit
from ninefold_testing import peak_rss_anon
from tswitch import CheckpointWriter, compress, export, merge, merge_recipe
from tswitch.checkpoints._checkpoint import TensorInfo

K = 4
BOUND_MB = 512
POOL = 1 << 22
PEER = """
import sys, time, yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
config = MergeConfiguration.model_validate(yaml.safe_load(open("ties.yml")))
start = time.perf_counter()
run_merge(config, "theirs", MergeOptions(write_model_card=False, copy_tokenizer=True))
print(time.perf_counter() - start)
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--peer-gigabytes", type=float, default=0.25)
    parser.add_argument("--step")
    options = parser.parse_args()
    if options.step:
        run_step(options.step, options.work)
        return
    for label, size in (("sharded", options.gigabytes), ("single tensor", options.gigabytes / 2)):
        if not size:
            continue
        work = options.work / label.replace(" ", "-")
        make_models(work, size, single=label == "single tensor")
        for step in ("merge:ties", "merge:ties-model", "merge:emr", "compress", "export"):
            measure(step, work, f"{label}, {size:g} GB bf16, K={K}")
        shutil.rmtree(work)
    if options.gigabytes >= 1:
        linear(options.work / "linear", options.gigabytes)
    if options.peer_gigabytes:
        peer(options.work / "peer", options.peer_gigabytes)


def measure(step: str, work: Path, label: str) -> float:
    command = [sys.executable, __file__, "--work", str(work), "--step", step]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    emit(bench="stream", step=step, input=label, bound_mb=BOUND_MB, within=result["above_mb"] <= BOUND_MB, **result)
    return result["seconds"]


def run_step(step: str, work: Path) -> None:
    base, models = work / "base", [work / f"model-{i}" for i in range(K)]
    start = time.perf_counter()
    with peak_rss_anon() as peak:
        if step == "merge:ties":
            merge(base, models, "ties", scope="tensor", out=work / "ties", max_shard_size="500MB", force=True)
        elif step == "merge:ties-model":
            merge(base, models, "ties", scope="model", out=work / "ties", max_shard_size="500MB", force=True)
        elif step == "merge:emr":
            merge(base, models, "emr", task=1, out=work / "ties", max_shard_size="500MB", force=True)
        elif step == "recipe":
            os.chdir(work)
            merge_recipe("ties.yml", out="ours", force=True)
        elif step == "compress":
            compress(base, models[0], work / "switch", force=True, alpha=0.6)
        else:
            export(base, work / "switch", work / "exported", max_shard_size="500MB", force=True)
    emit(above_mb=round(peak.above / 2**20, 1), seconds=round(time.perf_counter() - start, 2))


def linear(work: Path, size: float) -> None:
    """Time of `ties` at a quarter, half and the whole of the size: linear in bytes if the rate stays."""
    for share in (0.25, 0.5, 1.0):
        make_models(work, size * share, single=False)
        seconds = measure("merge:ties", work, f"sharded, {size * share:g} GB bf16, K={K}")
        emit(bench="stream-linear", gigabytes=size * share, seconds_per_gigabyte=round(seconds / (size * share), 2))
        shutil.rmtree(work)


def peer(work: Path, size: float) -> None:
    make_models(work, size, single=False)
    models = [
        {"model": str(work / f"model-{index}"), "parameters": {"weight": 1.0, "density": 0.2}} for index in range(K)
    ]
    recipe = {"merge_method": "ties", "base_model": str(work / "base"), "models": models, "dtype": "bfloat16"}
    (work / "ties.yml").write_text(yaml.safe_dump(recipe | {"parameters": {"lambda": 0.3}}))
    command = ["uv", "run", "-q", "--no-project", "--with", "mergekit==0.1.5", "python", "-c", PEER]
    seconds: dict[str, list[float]] = {"ours": [], "mergekit": []}
    for _ in range(3):
        seconds["ours"].append(measure("recipe", work, f"mergekit's, {size:g} GB bf16, K={K}"))
        run = subprocess.run(
            command, cwd=work, check=True, capture_output=True, text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        seconds["mergekit"].append(float(run.stdout.splitlines()[-1]))
    best = {name: sorted(taken)[1] for name, taken in seconds.items()}
    ratio = round(best["mergekit"] / best["ours"], 2)
    emit(bench="ties-vs-mergekit", input=f"{size:g} GB bf16, K={K}", seconds=best, times_faster=ratio, all=seconds)
    shutil.rmtree(work)


def make_models(work: Path, gigabytes: float, *, single: bool) -> None:
    """A base and K models: a sharded Llama of that size in bfloat16, or one tensor."""
    shutil.rmtree(work, ignore_errors=True)
    parameters = int(gigabytes * 1e9 / 2)
    layout = {"weight": (parameters // 4096, 4096)} if single else llama(parameters, work)
    infos = {name: TensorInfo(torch.bfloat16, shape) for name, shape in layout.items()}
    generator = torch.Generator().manual_seed(0)
    base, change = torch.randn(POOL, generator=generator), 0.02 * torch.randn(POOL, generator=generator)
    for index in range(K + 1):
        with CheckpointWriter(
            work / ("base" if not index else f"model-{index - 1}"), infos, max_shard_size="500MB"
        ) as out:
            for name in out.pending():
                for chunk in pieces(base, infos[name].numel):
                    own = change.roll(7919 * index)[: chunk.numel()]
                    out.feed(chunk if not index else chunk + own)
            out.copy_files(work / "files" if (work / "files").exists() else None)


def pieces(pool: torch.Tensor, count: int) -> Iterator[torch.Tensor]:
    for begin in range(0, count, POOL):
        yield pool[: min(POOL, count - begin)]


def llama(parameters: int, work: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a Llama of about that many parameters; writes its config and a tokenizer beside."""
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary, hidden, inner = (32000, 2048, 5632) if parameters > 4e8 else (8000, 1024, 2816)
    each = 2 * hidden * hidden + 2 * hidden * hidden // 8 + 3 * hidden * inner
    layers = max((parameters - 2 * vocabulary * hidden) // each, 1)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=inner, num_attention_heads=32,
        num_key_value_heads=4, num_hidden_layers=layers, dtype="bfloat16",
    )  # fmt: skip
    config.architectures = ["LlamaForCausalLM"]
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(vocabulary)}))
    PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(work / "files")
    config.save_pretrained(work / "files")
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in LlamaForCausalLM(config).state_dict().items()}


if __name__ == "__main__":
    main()
