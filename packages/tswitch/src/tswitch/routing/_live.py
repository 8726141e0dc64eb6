"""A base encoder with the switches of several text tasks, ready to answer texts: what the command line and demo run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.bank._bank import SwitchBank
from tswitch.models._classifier import Classifier, class_name, is_mean_head, refuse_other
from tswitch.models._models import MAX_LENGTH, TextClassifier, base_folder, predict_logits
from tswitch.routing._router import AutoSwitch
from tswitch.switch._switch import Switch


class TextBank:
    """One live model, one bank, one head and label list for each task.

    The model has the class that the fine-tuned models' config.json names; all tasks of a bank have the same class.

    Args:
        base: "minilm" or the folder of the base model.
        switches: task -> switch, or its folder.
        max_length: tokens kept of each text; by default, for each task what its model was fine-tuned with (of a class
            of transformers: what its tokenizer says, at most 512), and the most of them for the router's features.
        device: where the encoder and the switches lie.

    Attributes:
        cost: forward passes, parameters decoded and seconds of the last `answer`, in words.

    Raises:
        InputError: naming the task whose switch has no head, was made against another base, or belongs to a model
            that is not a text classifier, or to another class than the others.

    Examples:
        >>> import torch
        >>> from transformers import AutoModel, AutoTokenizer, BertConfig
        >>> from tswitch import FinetuneConfig, Switch, TextBank, finetune, minilm_folder
        >>> from tswitch.datasets import text_task

        >>> seed = torch.manual_seed(0)  # a small encoder of random weights, in place of a pretrained one
        >>> config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
        >>> AutoModel.from_config(config).save_pretrained("base")
        >>> files = AutoTokenizer.from_pretrained(minilm_folder()).save_pretrained("base")
        >>> task = text_task("snips", source="embedded").limited(train=64)

        >>> tuned = finetune("base", task, "tuned", FinetuneConfig(steps=4, batch=8))
        >>> switch = Switch.from_checkpoints("base", "tuned")
        >>> bank = TextBank("base", {"snips": switch})
        >>> classes = bank.classify("snips", ["play some jazz", "will it rain tomorrow"])
        >>> classes.shape, len(bank.labels["snips"])
        ((2,), 7)
    """

    def __init__(
        self,
        base: str | Path,
        switches: Mapping[str, Switch | str | Path],
        *,
        max_length: int | None = None,
        device: str = "cpu",
    ) -> None:
        self.lengths: dict[str, int] = {}
        self.cost = "nothing was answered yet"
        opened = {
            task: given if isinstance(given, Switch) else Switch.from_pretrained(given)
            for task, given in switches.items()
        }
        self.classifier = _own_class(base, opened, device)
        if self.classifier is None:
            self.model: Any = TextClassifier.from_base(base, 1).eval().to(device)
        else:
            self.model = self.classifier.module
        self.bank = SwitchBank(self.model)
        self.labels: dict[str, list[str]] = {}
        for task, switch in opened.items():
            self.bank.add(task, switch)
            own = int(switch.config.get("max_length", MAX_LENGTH)) if self.classifier is None else None
            length = own if self.classifier is None else self.classifier.max_length
            self.lengths[task] = length if max_length is None else max_length  # pyright: ignore[reportArgumentType]
            self.labels[task] = switch.config.get("labels") or [str(index) for index in range(_classes(switch))]
        self.max_length = max(self.lengths.values(), default=max_length or MAX_LENGTH)

    def logits(self, task: str, texts: Sequence[str], *, switched: bool = True) -> Tensor:
        """Outputs (texts, classes) of the task's head on the switched model, or on the plain base."""
        weights = {task: 1.0 if switched else 0.0}
        with self.bank.use(weights, head=task):
            if self.classifier is not None:
                return self.classifier.logits(texts, max_length=self.lengths[task])
            return predict_logits(self.model, texts, max_length=self.lengths[task])

    def classify(self, task: str, texts: Sequence[str], *, switched: bool = True) -> np.ndarray:
        """Class index of each text, by the task's head on the switched model, or on the plain base."""
        return self.logits(task, texts, switched=switched).argmax(1).numpy()

    def router(self, **settings: Any) -> AutoSwitch:
        """An `AutoSwitch` over the bank that takes texts."""
        return AutoSwitch(self.bank, preprocess=self.prepare, **settings)

    def prepare(self, texts: list[str]) -> dict[str, Tensor]:
        """Texts as the model takes them: input_ids and attention_mask."""
        if not all(text.strip() for text in texts):
            raise InputError("text", got="an empty one", expected="at least one word in each")
        if self.classifier is not None:
            return self.classifier.prepare(texts, self.max_length)
        return self.model.pad(self.model.encode(texts, self.max_length))

    def answer(self, router: AutoSwitch, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Route and classify texts: task, label, probability, the tasks' weights, and how unlike all tasks each is.

        `cost` then says what the batch cost.
        """
        routed, rows = router(list(texts)), []
        each = zip(texts, routed.outputs, routed.weights, routed.heads, routed.reject, strict=True)
        for text, logits, weights, task, reject in each:
            best = int(logits.argmax())
            shares = {name: round(float(share), 3) for name, share in zip(router.tasks, weights, strict=True) if share}
            about = {"label": self.labels[task][best], "probability": float(torch.softmax(logits, 0)[best])}
            rows.append({"text": text, "task": task, **about, "weights": shares, "distance": float(reject)})
        self.cost = routed.cost
        return rows


_ABOUT_A_TASK = {"id2label", "label2id", "num_labels", "problem_type", "finetuning_task", "dtype", "torch_dtype",
                 "transformers_version", "_num_labels"}  # fmt: skip


def _own_class(base: str | Path, switches: Mapping[str, Switch], device: str) -> Classifier | None:
    """The base in the class of the switches' models; None where these are encoders with a head over the mean."""
    first: tuple[str, dict[str, Any]] | None = None
    kinds: dict[bool, str] = {}
    for task, switch in switches.items():
        what, config = f"switch of task {task!r}", switch.config.get("model_config")
        if not switch.head:
            raise InputError(what, got="no head", expected="the tensors of a classifier")
        kinds.setdefault(is_mean_head(config, set(switch.head)), task)
        if len(kinds) > 1:
            got = f"models of different kinds: {', '.join(map(repr, kinds.values()))}"
            raise InputError("switches", got=got, expected="one class", hint="make a TextBank for each class")
        if is_mean_head(config, set(switch.head)):
            continue
        refuse_other(what, config)
        shape = {key: value for key, value in (config or {}).items() if key not in _ABOUT_A_TASK}
        if first is None:
            first = task, dict(config or {})
        other = {key: value for key, value in first[1].items() if key not in _ABOUT_A_TASK}
        differs = sorted(key for key in shape.keys() | other.keys() if shape.get(key) != other.get(key))
        if differs:
            got = f"config.json with another {', '.join(differs[:4])} than task {first[0]!r}"
            raise InputError(what, got=got, expected="models of one class and shape", hint="make a TextBank for each")
    if first is None:
        return None
    made = Classifier.load(base_folder(base), first[1], what=f"switch of task {first[0]!r}", device=device)
    for task, switch in switches.items():
        kept = {*switch.head, *(switch.pairing.to_finetuned(name) for name in (*switch.dense, *switch.rows))}
        absent = [name for name in made.missing if name not in kept]
        if absent:
            got = f"no values for {', '.join(absent[:4])} of a {class_name(first[1])}, in the base or the switch"
            raise InputError(f"switch of task {task!r}", got=got, expected="a head or the base's own tensors")
    return made


def _classes(switch: Switch) -> int:
    """Classes of a head: rows of its last linear layer."""
    sizes = [tensor.shape[0] for name, tensor in switch.head.items() if name.endswith("bias")]
    return sizes[-1] if sizes else next(iter(switch.head.values())).shape[0]
