"""A transformer of BitNet b1.58's shape: rotary attention over groups of heads, squared-ReLU gate, four norms a block.

As `BitNetForCausalLM` in transformers, whose checkpoints it reads: linear layers are `TernaryLinear`, the rest is
float32 in numpy. Keys and values of the tokens so far are kept, so that each further token costs one step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.artifacts import Artifact, save
from ninefold.errors import ArtifactError, InputError

from bnn_fsg.language._checkpoint import read_entries, read_tensor
from bnn_fsg.language._ternary import TernaryLinear

_KIND, _VERSION = "bnn_fsg.ternary-lm", 1
_LINEARS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
_LINEARS += ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
_NORMS = ("input_layernorm", "post_attention_layernorm", "self_attn.attn_sub_norm", "mlp.ffn_sub_norm")


@dataclass(frozen=True)
class Shape:
    """Sizes of a model, named as in transformers' BitNetConfig."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    rms_norm_eps: float = 1e-5
    rope_theta: float = 500_000.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not 0 < value < 2**31 or (one.type == "int" and type(value) is not int):
                raise InputError(one.name, got=value, expected="a number above 0")
        heads, keys, hidden = self.num_attention_heads, self.num_key_value_heads, self.hidden_size
        if hidden % (2 * heads) or heads % keys:
            got = f"{heads} heads, {keys} of keys, hidden size {hidden}"
            raise InputError("shape", got=got, expected="heads of an even size, in groups of one size")

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Shape:
        """Of a `config.json`. InputError if it is of another kind of model."""
        act, bias = config.get("hidden_act", "relu2"), config.get("attention_bias", False)
        if act != "relu2" or bias:
            raise InputError("config", got=f"hidden_act {act}, attention_bias {bias}", expected="relu2, and no bias")
        rope = config.get("rope_parameters") or {}
        if rope.get("rope_type", "default") != "default" or config.get("rope_scaling"):
            raise InputError("config", got="scaled rotary positions", expected="plain ones")
        known = {one.name: config[one.name] for one in fields(cls) if one.name in config}
        known.setdefault("rope_theta", float(rope.get("rope_theta", 500_000.0)))
        missing = [one.name for one in fields(cls) if one.name not in known and one.name not in ("rms_norm_eps",)]
        if missing:
            raise InputError("config", got=f"no {', '.join(missing)}", expected="the sizes of a BitNet model")
        return cls(**known)

    @property
    def head(self) -> int:
        """Numbers of a head."""
        return self.hidden_size // self.num_attention_heads


class Cache:
    """Keys and values so far: (layers, key heads, tokens, head) each; room grows by doubling."""

    def __init__(self, shape: Shape) -> None:
        self.length = 0
        self._rows = np.zeros((2, shape.num_hidden_layers, shape.num_key_value_heads, 64, shape.head), np.float32)

    def put(self, layer: int, keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add (key heads, new tokens, head) each; gives back all of the layer."""
        end = self.length + keys.shape[1]
        if end > self._rows.shape[3]:
            more = np.zeros((*self._rows.shape[:3], max(end, 2 * self._rows.shape[3]), self._rows.shape[4]), np.float32)
            more[:, :, :, : self.length] = self._rows[:, :, :, : self.length]
            self._rows = more
        self._rows[0, layer, :, self.length : end], self._rows[1, layer, :, self.length : end] = keys, values
        return self._rows[0, layer, :, :end], self._rows[1, layer, :, :end]


class TernaryLM:
    """A language model ready to run.

    Attributes:
        shape: its sizes.
        nbytes: bytes of the packed linear layers.

    Examples:
        >>> from bnn_fsg import TernaryLM
        >>> from transformers import BitNetConfig, BitNetForCausalLM

        >>> config = BitNetConfig(
        ...     vocab_size=97, hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=4,
        ...     num_key_value_heads=2, bos_token_id=1, eos_token_id=2,
        ... )
        >>> BitNetForCausalLM(config).save_pretrained("bitnet")  # random weights, in place of a published checkpoint
        >>> model = TernaryLM.from_pretrained("bitnet")
        >>> tokens = list(model.generate([5, 7, 9], 4))
        >>> len(tokens), model.nbytes
        (4, 9216)
        >>> model.save("small.tlm")
        >>> TernaryLM.load("small.tlm").shape == model.shape
        True
    """

    def __init__(self, shape: Shape, layers: Mapping[str, TernaryLinear], floats: Mapping[str, np.ndarray]) -> None:
        """Use `from_pretrained`, `of_tensors` or `load`."""
        self.shape, self._layers, self._floats = shape, dict(layers), dict(floats)
        embedding = self._floats["model.embed_tokens.weight"].astype(np.float32)
        self._embedding = embedding
        head = self._floats.get("lm_head.weight")
        self._head = embedding if head is None else head.astype(np.float32)
        half = np.arange(0, shape.head, 2, dtype=np.float32) / np.float32(shape.head)
        self._frequencies = (np.float32(1) / np.float32(shape.rope_theta) ** half).astype(np.float32)

    @property
    def nbytes(self) -> int:
        """Bytes of the packed linear layers."""
        return sum(one.words.nbytes for one in self._layers.values())

    @classmethod
    def of_tensors(
        cls,
        config: Mapping[str, Any],
        tensor: Callable[[str], np.ndarray | None],
        *,
        threads: int = 1,
        backend: str = "auto",
    ) -> TernaryLM:
        """From a config and a function that gives a checkpoint's tensor by name, or None.

        A linear layer is float weights, which become ternary by their mean; or uint8 (outputs / 4, inputs) as
        transformers packs them, with `weight_scale`, which divides.
        """
        shape = Shape.of_config(config)
        layers, floats = {}, {}

        def needed(name: str, expected: tuple[int, ...]) -> np.ndarray:
            found = tensor(name)
            if found is None or found.shape != expected:
                got = "missing" if found is None else f"shape {found.shape}"
                raise InputError(f"tensor {name}", got=got, expected=f"shape {expected}")
            return found

        for name, (outputs, inputs) in _linear_sizes(shape).items():
            found, how = tensor(f"{name}.weight"), {"threads": threads, "backend": backend}
            if found is not None and found.dtype == np.uint8:
                packed = needed(f"{name}.weight", (outputs // 4, inputs))
                weight = np.concatenate([packed >> np.uint8(2 * i) & np.uint8(3) for i in range(4)]).astype(np.int8) - 1
                scale = needed(f"{name}.weight_scale", (1,)).astype(np.float32)[0]
                layers[name] = TernaryLinear.of_ternary(weight, 1 / float(scale), **how)
            else:
                layers[name] = TernaryLinear.of_floats(needed(f"{name}.weight", (outputs, inputs)), **how)
        for name, size in _norm_sizes(shape).items():
            floats[f"{name}.weight"] = needed(f"{name}.weight", (size,)).astype(np.float32)
        size = shape.vocab_size, shape.hidden_size
        floats["model.embed_tokens.weight"] = needed("model.embed_tokens.weight", size).astype(np.float16)
        if not config.get("tie_word_embeddings", False) and tensor("lm_head.weight") is not None:
            floats["lm_head.weight"] = needed("lm_head.weight", size).astype(np.float16)
        if not all(np.isfinite(one).all() for one in floats.values()):
            got = "NaN, infinity, or an embedding beyond float16"
            raise InputError("checkpoint", got=got, expected="finite values")
        return cls(shape, layers, floats)

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, threads: int = 1, backend: str = "auto") -> TernaryLM:
        """From a folder with `config.json` and `.safetensors` files, as transformers writes them; never code.

        Raises: ArtifactError if there are no such files; InputError naming a tensor that is missing or does not fit.
        """
        folder = Path(folder)
        files = sorted(folder.glob("*.safetensors"))
        if not files or not (folder / "config.json").is_file():
            raise ArtifactError(folder, "has no config.json or no .safetensors file")
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        where = {name: (file, entry) for file in files for name, entry in read_entries(file).items()}

        def tensor(name: str) -> np.ndarray | None:
            return read_tensor(*where[name]) if name in where else None

        return cls.of_tensors(config, tensor, threads=threads, backend=backend)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write one file: two bits a weight of the linear layers, float16 embeddings; whole or not at all."""
        arrays = dict(self._floats) | {name: one.words for name, one in self._layers.items()}
        meta = {"shape": asdict(self.shape), "scales": {name: one.scale for name, one in self._layers.items()}}
        save(path, arrays, kind=_KIND, format_version=_VERSION, package="bnn_fsg", meta=meta, force=force)

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 1, backend: str = "auto") -> TernaryLM:
        """Read what `save` wrote; ArtifactError with path and reason if it is damaged, foreign or newer."""
        artifact = Artifact(path, kind=_KIND, format_version=_VERSION)
        try:
            shape = Shape(**artifact.meta["shape"])
            scales = artifact.meta["scales"]
            sizes, how = _linear_sizes(shape), {"threads": threads, "backend": backend}
            parts = {name: (artifact.numpy(name), *size, scales[name]) for name, size in sizes.items()}
            layers = {name: TernaryLinear(*part, **how) for name, part in parts.items()}
            names = [f"{name}.weight" for name in (*_norm_sizes(shape), "model.embed_tokens")]
            floats = {name: artifact.numpy(name) for name in [*names, *({"lm_head.weight"} & set(artifact.names))]}
            expected = {f"{name}.weight": (size,) for name, size in _norm_sizes(shape).items()}
            for name, one in floats.items():
                if one.shape != expected.get(name, (shape.vocab_size, shape.hidden_size)):
                    raise ValueError(f"{name} has shape {one.shape}")
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise ArtifactError(path, f"is damaged: its arrays do not fit its shape ({error})") from None
        return cls(shape, layers, floats)

    def __call__(self, tokens: np.ndarray, cache: Cache | None = None) -> np.ndarray:
        """Logits (tokens, vocabulary) float32 of tokens (tokens,) that follow those of `cache`, which grows by them."""
        tokens = np.asarray(tokens)
        if tokens.ndim != 1 or not len(tokens) or tokens.dtype.kind not in "iu":
            got = f"{tokens.dtype} of shape {tokens.shape}"
            raise InputError("tokens", got=got, expected="whole numbers (tokens,)")
        if tokens.min() < 0 or tokens.max() >= self.shape.vocab_size:
            got, last = f"{tokens.min()} to {tokens.max()}", self.shape.vocab_size - 1
            raise InputError("tokens", got=got, expected=f"0 to {last}")
        return self._hidden(tokens, Cache(self.shape) if cache is None else cache) @ self._head.T

    def _hidden(self, tokens: np.ndarray, cache: Cache) -> np.ndarray:
        """(tokens, hidden) after the last norm."""
        x = self._embedding[tokens]
        angles = np.arange(cache.length, cache.length + len(tokens), dtype=np.float32)[:, None] * self._frequencies
        turns = np.cos(angles), np.sin(angles)
        for index in range(self.shape.num_hidden_layers):
            at = f"model.layers.{index}."
            x = x + self._attention(index, self._norm(f"{at}input_layernorm", x), turns, cache)
            y = self._norm(f"{at}post_attention_layernorm", x)
            gate, up = (self._layers[f"{at}mlp.{one}_proj"](y) for one in ("gate", "up"))
            y = self._norm(f"{at}mlp.ffn_sub_norm", np.square(np.maximum(gate, 0)) * up)
            x = x + self._layers[f"{at}mlp.down_proj"](y)
        cache.length += len(tokens)
        return self._norm("model.norm", x)

    def _norm(self, name: str, x: np.ndarray) -> np.ndarray:
        variance = np.square(x).mean(axis=-1, keepdims=True, dtype=np.float32)
        return x / np.sqrt(variance + np.float32(self.shape.rms_norm_eps)) * self._floats[f"{name}.weight"]

    def _attention(self, index: int, x: np.ndarray, turns: tuple[np.ndarray, np.ndarray], cache: Cache) -> np.ndarray:
        shape, at, count = self.shape, f"model.layers.{index}.self_attn.", len(x)

        def heads(name: str) -> np.ndarray:
            return self._layers[f"{at}{name}_proj"](x).reshape(count, -1, shape.head).swapaxes(0, 1)

        keys, values = cache.put(index, _turned(heads("k"), *turns), heads("v"))
        queries = _turned(heads("q"), *turns).reshape(shape.num_key_value_heads, -1, count, shape.head)
        scores = queries @ keys[:, None].swapaxes(-1, -2) * np.float32(shape.head**-0.5)
        later = np.arange(keys.shape[1]) > np.arange(cache.length, cache.length + count)[:, None]
        scores = np.where(later, np.float32(-np.inf), scores)
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (powers / powers.sum(axis=-1, keepdims=True)) @ values[:, None]
        mixed = mixed.reshape(shape.num_attention_heads, count, shape.head).swapaxes(0, 1).reshape(count, -1)
        return self._layers[f"{at}o_proj"](self._norm(f"{at}attn_sub_norm", mixed))

    def generate(
        self, tokens: np.ndarray, count: int, *, temperature: float = 0.0, seed: int = 0, stop: int | None = None
    ) -> Iterator[int]:
        """Up to `count` further tokens, each as it is found.

        Args:
            tokens: (tokens,) whole numbers, what they follow.
            count: how many at most.
            temperature: 0 takes the likeliest; else tokens are drawn from softmax(logits / temperature).
            seed: random seed of the draws.
            stop: a token after which there is nothing more.
        """
        if count < 1 or not 0 <= temperature < np.inf:
            raise InputError("generate", got=f"count {count}, temperature {temperature}", expected="from 1, and from 0")
        cache, draw, given = Cache(self.shape), np.random.default_rng(seed), np.asarray(tokens)
        for _ in range(count):
            logits = self(given, cache)[-1]
            if temperature:
                powers = np.exp((logits - logits.max()) / temperature, dtype=np.float64)
                found = int(draw.choice(len(powers), p=powers / powers.sum()))
            else:
                found = int(logits.argmax())
            yield found
            if found == stop:
                return
            given = np.array([found])


def _turned(x: np.ndarray, cosine: np.ndarray, sine: np.ndarray) -> np.ndarray:
    """Rotary positions: x (heads, tokens, head), its halves turned by (tokens, head / 2) angles."""
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def _linear_sizes(shape: Shape) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of each linear layer."""
    hidden, wide, keys = shape.hidden_size, shape.intermediate_size, shape.num_key_value_heads * shape.head
    attention = [(hidden, hidden), (keys, hidden), (keys, hidden), (hidden, hidden)]
    sizes = [*attention, (wide, hidden), (wide, hidden), (hidden, wide)]
    return _of_each_layer(shape, zip(_LINEARS, sizes, strict=True))


def _norm_sizes(shape: Shape) -> dict[str, int]:
    sizes = (shape.hidden_size, shape.hidden_size, shape.hidden_size, shape.intermediate_size)
    return {**_of_each_layer(shape, zip(_NORMS, sizes, strict=True)), "model.norm": shape.hidden_size}


def _of_each_layer(shape: Shape, sizes: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(sizes)
    return {f"model.layers.{i}.{name}": named[name] for i in range(shape.num_hidden_layers) for name in named}
