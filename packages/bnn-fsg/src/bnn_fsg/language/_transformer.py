"""A transformer of BitNet b1.58's shape: rotary attention over groups of heads, squared-ReLU gate, four norms a block.

As `BitNetForCausalLM` in transformers, whose checkpoints it reads: linear layers are `TernaryLinear`, the rest is
float32 in numpy. Keys and values of the tokens so far are kept, so that each further token costs one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.artifacts import Artifact, save
from ninefold.errors import ArtifactError, InputError

from bnn_fsg.language._checkpoint import Checkpoint
from bnn_fsg.language._quantization import Quantization
from bnn_fsg.language._ternary import TernaryLinear

_KIND, _VERSION = "bnn_fsg.ternary-lm", 2  # 2 has norms before the linear layers, and is written only with these
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
            value, kind = getattr(self, one.name), (int,) if one.type == "int" else (int, float)
            if type(value) not in kind or not 0 < value < 2**31:
                expected = f"{'a whole' if one.type == 'int' else 'a'} number above 0"
                raise InputError(one.name, got="null" if value is None else value, expected=expected)
        heads, keys, hidden = self.num_attention_heads, self.num_key_value_heads, self.hidden_size
        if hidden % (2 * heads) or heads % keys:
            got = f"{heads} heads, {keys} of keys, hidden size {hidden}"
            raise InputError("shape", got=got, expected="heads of an even size, in groups of one size")

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Shape:
        """Of a `config.json`. InputError if it is of another kind of model."""
        kind, act = config.get("model_type", "bitnet"), config.get("hidden_act", "relu2")
        bias, rope = config.get("attention_bias", False), config.get("rope_parameters") or {}
        if kind != "bitnet":
            raise InputError("model_type", got=kind, expected="bitnet")
        if act != "relu2" or bias:
            raise InputError("config", got=f"hidden_act {act}, attention_bias {bias}", expected="relu2, and no bias")
        if not isinstance(rope, Mapping):
            raise InputError("rope_parameters", got=rope, expected="a JSON object")
        if rope.get("rope_type", "default") != "default" or config.get("rope_scaling"):
            raise InputError("config", got="scaled rotary positions", expected="plain ones")
        if rope.get("partial_rotary_factor", 1) != 1:
            raise InputError("partial_rotary_factor", got=rope["partial_rotary_factor"], expected="1")
        known = {one.name: config[one.name] for one in fields(cls) if one.name in config}
        if "rope_theta" in rope:
            known["rope_theta"] = rope["rope_theta"]
        if known.get("num_key_value_heads", 0) is None:
            known["num_key_value_heads"] = known.get("num_attention_heads")
        missing = [one.name for one in fields(cls) if one.name not in known and one.default is MISSING]
        if missing:
            raise InputError("config", got=f"no {', '.join(missing)}", expected="the sizes of a BitNet model")
        shape = cls(**known)
        if config.get("head_dim", shape.head) not in (shape.head, None):
            raise InputError("head_dim", got=config["head_dim"], expected=f"{shape.head}, hidden_size by heads")
        return shape

    @property
    def head(self) -> int:
        """Numbers of a head."""
        return self.hidden_size // self.num_attention_heads


class Cache:
    """Keys and values so far: (layers, key heads, tokens, head) each; the capacity doubles when full."""

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
        >>> config.quantization_config = {
        ...     "quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online"
        ... }
        >>> BitNetForCausalLM(config).save_pretrained("bitnet")  # random weights, in place of a published checkpoint
        >>> model = TernaryLM.from_pretrained("bitnet")
        >>> tokens = list(model.generate([5, 7, 9], 4))
        >>> len(tokens), model.nbytes
        (4, 9216)
        >>> model.save("small.tlm")
        >>> TernaryLM.load("small.tlm").shape == model.shape
        True
    """

    def __init__(
        self,
        shape: Shape,
        layers: Mapping[str, TernaryLinear],
        floats: Mapping[str, np.ndarray],
        linear_eps: float | None = None,
    ) -> None:
        """Use `from_pretrained`, `of_tensors` or `load`; linear_eps: of the norms before the linear layers, if any."""
        self.shape, self._layers, self._floats, self._linear_eps = shape, dict(layers), dict(floats), linear_eps
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
        """Build the model from a config and a function that gives a checkpoint's tensor by name, or None.

        Raises: InputError if `quantization_config` names another rule than BitNet's, or a tensor does not fit it.
        """
        shape, rule = Shape.of_config(config), Quantization.of_config(config)
        how, floats = {"threads": threads, "backend": backend}, {}

        def needed(name: str, expected: tuple[int, ...]) -> np.ndarray:
            found = tensor(name)
            if found is None or found.shape != expected or found.dtype.kind != "f":
                got = "missing" if found is None else f"{found.dtype} of shape {found.shape}"
                raise InputError(f"tensor {name}", got=got, expected=f"float of shape {expected}")
            return found

        layers = {name: rule.layer(name, size, tensor, **how) for name, size in _linear_sizes(shape).items()}
        for name, size in _norm_sizes(shape, linear=rule.use_rms_norm).items():
            floats[f"{name}.weight"] = needed(f"{name}.weight", (size,)).astype(np.float32)
        size, tied = (shape.vocab_size, shape.hidden_size), config.get("tie_word_embeddings", False)
        if not isinstance(tied, bool):
            raise InputError("tie_word_embeddings", got=tied, expected="true or false")
        embedding = needed("model.embed_tokens.weight", size)
        with np.errstate(over="ignore"):
            floats["model.embed_tokens.weight"] = embedding.astype(np.float16)
            if not tied:
                floats["lm_head.weight"] = needed("lm_head.weight", size).astype(np.float16)
        head = tensor("lm_head.weight") if tied else None
        if head is not None and not np.array_equal(head, embedding):
            got = "another than the embedding"
            raise InputError("tensor lm_head.weight", got=got, expected="the same, as tie_word_embeddings is true")
        bad = [name for name, one in floats.items() if not np.isfinite(one).all()]
        if bad:
            got = "NaN, infinity, or an embedding beyond float16"
            raise InputError(f"tensor {bad[0]}", got=got, expected="finite values")
        return cls(shape, layers, floats, rule.rms_norm_eps if rule.use_rms_norm else None)

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, threads: int = 1, backend: str = "auto") -> TernaryLM:
        """From a folder with `config.json` and `.safetensors` files, as transformers writes them; never code.

        Raises: ArtifactError if there are no such files; InputError naming a tensor that is missing or does not fit.
        """
        checkpoint = Checkpoint(folder)
        model = cls.of_tensors(checkpoint.config, checkpoint.tensor, threads=threads, backend=backend)
        left = [name for name in checkpoint.unread() if not name.endswith("rotary_emb.inv_freq")]
        if left:
            got = f"{len(left)} tensors that this model has no place for: {', '.join(left[:3])}"
            raise InputError("checkpoint", got=got, expected="the tensors of BitNetForCausalLM", where=folder)
        return model

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write one file: two bits a weight of the linear layers, float16 embeddings; whole or not at all."""
        arrays = dict(self._floats) | {name: one.words for name, one in self._layers.items()}
        meta = {"shape": asdict(self.shape), "scales": {name: one.scale for name, one in self._layers.items()}}
        version = 1
        if self._linear_eps is not None:
            version, meta["linear_eps"] = _VERSION, self._linear_eps
        save(path, arrays, kind=_KIND, format_version=version, package="bnn_fsg", meta=meta, force=force)

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
            eps = artifact.meta.get("linear_eps")
            if eps is not None:
                Quantization(use_rms_norm=True, rms_norm_eps=eps)
            norms = _norm_sizes(shape, linear=eps is not None)
            names = [f"{name}.weight" for name in (*norms, "model.embed_tokens")]
            floats = {name: artifact.numpy(name) for name in [*names, *({"lm_head.weight"} & set(artifact.names))]}
            expected = {f"{name}.weight": (size,) for name, size in norms.items()}
            for name, one in floats.items():
                if one.shape != expected.get(name, (shape.vocab_size, shape.hidden_size)):
                    raise ValueError(f"{name} has shape {one.shape}")
        except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
            raise ArtifactError(path, f"is damaged: its arrays do not fit its shape ({error})") from None
        return cls(shape, layers, floats, eps)

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
            gate, up = (self._linear(f"{at}mlp.{one}_proj", y) for one in ("gate", "up"))
            y = self._norm(f"{at}mlp.ffn_sub_norm", np.square(np.maximum(gate, 0)) * up)
            x = x + self._linear(f"{at}mlp.down_proj", y)
        cache.length += len(tokens)
        return self._norm("model.norm", x)

    def _linear(self, name: str, x: np.ndarray) -> np.ndarray:
        if self._linear_eps is not None:
            x = self._norm(f"{name}.rms_norm", x, self._linear_eps)
        return self._layers[name](x)

    def _norm(self, name: str, x: np.ndarray, eps: float | None = None) -> np.ndarray:
        variance = np.square(x).mean(axis=-1, keepdims=True, dtype=np.float32)
        eps = self.shape.rms_norm_eps if eps is None else eps
        return x / np.sqrt(variance + np.float32(eps)) * self._floats[f"{name}.weight"]

    def _attention(self, index: int, x: np.ndarray, turns: tuple[np.ndarray, np.ndarray], cache: Cache) -> np.ndarray:
        shape, at, count = self.shape, f"model.layers.{index}.self_attn.", len(x)

        def heads(name: str) -> np.ndarray:
            return self._linear(f"{at}{name}_proj", x).reshape(count, -1, shape.head).swapaxes(0, 1)

        keys, values = cache.put(index, _turned(heads("k"), *turns), heads("v"))
        queries = _turned(heads("q"), *turns).reshape(shape.num_key_value_heads, -1, count, shape.head)
        scores = queries @ keys[:, None].swapaxes(-1, -2) * np.float32(shape.head**-0.5)
        later = np.arange(keys.shape[1]) > np.arange(cache.length, cache.length + count)[:, None]
        scores = np.where(later, np.float32(-np.inf), scores)
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (powers / powers.sum(axis=-1, keepdims=True)) @ values[:, None]
        mixed = mixed.reshape(shape.num_attention_heads, count, shape.head).swapaxes(0, 1).reshape(count, -1)
        return self._linear(f"{at}o_proj", self._norm(f"{at}attn_sub_norm", mixed))

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


def _norm_sizes(shape: Shape, *, linear: bool = False) -> dict[str, int]:
    """Size of each norm; linear: whether every linear layer has a norm of its own."""
    sizes = (shape.hidden_size, shape.hidden_size, shape.hidden_size, shape.intermediate_size)
    found = {**_of_each_layer(shape, zip(_NORMS, sizes, strict=True)), "model.norm": shape.hidden_size}
    if linear:
        found |= {f"{name}.rms_norm": inputs for name, (_, inputs) in _linear_sizes(shape).items()}
    return found


def _of_each_layer(shape: Shape, sizes: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(sizes)
    return {f"model.layers.{i}.{name}": named[name] for i in range(shape.num_hidden_layers) for name in named}
