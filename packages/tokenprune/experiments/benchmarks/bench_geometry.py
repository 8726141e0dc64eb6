"""Prefill of larger models' geometry with random weights, on a processor or a GPU: time and memory by length.

    python packages/tokenprune/experiments/benchmarks/bench_geometry.py --geometry llama-3.2-1b --lengths 2048
    python packages/tokenprune/experiments/benchmarks/bench_geometry.py --geometry qwen2.5-1.5b --lengths 2048,8192,16384
    python packages/tokenprune/experiments/benchmarks/bench_geometry.py --geometry eight --lengths 2048,4096 --sparsity .6

Which tokens are kept has no meaning under random weights, and nothing about quality is measured; how many are, and what
that takes, is as under trained ones. Each line says how many times as fast as the dense model an arm is (`ratio`, with
its 95 % interval), what its saved operations allow (`bound`) and how much of that was had (`share`); or the bytes above
the weights that one prefill with its cache took at its peak. float32 on a processor, bfloat16 on a GPU (`--device`). Of the 1B
geometry a prefill of 2,048 tokens takes about a minute on one core, and 5 GB of memory. `--geometry small` shows the
mechanics.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
from typing import Any

import torch
from ninefold.measure import emit
from ninefold_testing import peak_rss_anon
from tokenprune import FTPConfig, Layout, TokenPruner
from tokenprune.evaluation._speed import prefill

GEOMETRIES: dict[str, dict[str, Any]] = {
    "llama-3.2-1b": {
        "kind": "Llama", "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128_256,
        "rope_theta": 500_000.0,
    },
    "qwen2.5-1.5b": {
        "kind": "Qwen2", "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
        "num_attention_heads": 12, "num_key_value_heads": 2, "vocab_size": 151_936, "rope_theta": 1_000_000.0,
    },
    "eight": {
        "kind": "Llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 8,
        "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 8192,
    },
    "small": {
        "kind": "Llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 6, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 256,
    },
}  # fmt: skip


def random_model(geometry: str, device: str) -> Any:
    """A causal language model of these sizes, its weights drawn by chance on the device."""
    import transformers

    sizes = dict(GEOMETRIES[geometry])
    kind = sizes.pop("kind")
    config = getattr(transformers, f"{kind}Config")(**sizes, tie_word_embeddings=True, max_position_embeddings=32_768)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    torch.manual_seed(0)
    with torch.device(device):
        return transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval().requires_grad_(False)


@torch.no_grad()
def peak_of(model: Any, arm: str, length: int, sparsity: float) -> int:
    """Bytes above the weights that the first prefill takes at its peak."""
    device = Layout.of(model).device
    ids = torch.randint(1, 256, (1, length), generator=torch.Generator().manual_seed(0)).to(device)
    pruner = (
        TokenPruner(model, FTPConfig(target_sparsity=sparsity)) if arm == "observation" else contextlib.nullcontext()
    )

    def once() -> None:
        with pruner:
            model(ids, logits_to_keep=1, use_cache=True)

    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        once()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with peak_rss_anon() as peak:
        once()
    return peak.above


def memory(model: Any, geometry: str, length: int, sparsity: float) -> dict[str, int]:
    """By arm; on a processor in a process of its own each, since one that has run before has the memory already."""
    arms = ("dense", "observation")
    if Layout.of(model).device.type == "cuda":
        return {arm: peak_of(model, arm, length, sparsity) for arm in arms}
    found = {}
    for arm in arms:
        words = [
            sys.executable,
            __file__,
            "--geometry",
            geometry,
            "--lengths",
            str(length),
            "--sparsity",
            str(sparsity),
        ]
        done = subprocess.run([*words, "--memory", arm], capture_output=True, text=True, check=True)
        found[arm] = int(done.stdout.split()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Prefill of a model's geometry with random weights.")
    parser.add_argument("--geometry", choices=sorted(GEOMETRIES), default="llama-3.2-1b")
    parser.add_argument("--lengths", default="2048", help="tokens of the prompts, with commas between")
    parser.add_argument("--sparsity", type=float, default=0.3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--memory", choices=["dense", "observation"], help="print one arm's peak and end")
    asked = parser.parse_args()
    model = random_model(asked.geometry, asked.device)
    lengths = [int(one) for one in asked.lengths.split(",")]
    if asked.memory:
        print(peak_of(model, asked.memory, lengths[0], asked.sparsity))
        return
    weights = model.get_input_embeddings().weight
    about = {"geometry": asked.geometry, "weights": "random", "device": asked.device, "dtype": str(weights.dtype)[6:]}
    for length in lengths:
        for line in prefill(model, length, [asked.sparsity], repeats=asked.repeats):
            emit(benchmark="prefill of a geometry", **about, **line, share=line["ratio"] / line["bound"])
        above = memory(model, asked.geometry, length, asked.sparsity)
        emit(benchmark="peak memory of a geometry", **about, tokens=length, sparsity=asked.sparsity,
             bytes_above_model=above, ratio=above["observation"] / max(1, above["dense"]))  # fmt: skip


if __name__ == "__main__":
    main()
