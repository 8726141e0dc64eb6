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
from tswitch.models._models import MAX_LENGTH, TextClassifier, predict
from tswitch.routing._router import AutoSwitch
from tswitch.switch._switch import Switch


class TextBank:
    """One encoder, one bank, one head and label list for each task.

    Args:
        base: "minilm" or the folder of an encoder.
        switches: task -> switch, or its folder.
        max_length: tokens kept of each text; by default, for each task what its model was fine-tuned with, and the
            most of them for what all tasks see, the router's features.
        device: where the encoder and the switches lie.

    Attributes:
        cost: forward passes, parameters decoded and seconds of the last `answer`, in words.

    Raises:
        InputError: naming the task whose switch has no head, or was made against another base.

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
        self.model = TextClassifier.from_base(base, 1).eval().to(device)
        self.bank = SwitchBank(self.model)
        self.labels: dict[str, list[str]] = {}
        for task, given in switches.items():
            switch = given if isinstance(given, Switch) else Switch.from_pretrained(given)
            if not {"classifier.weight", "classifier.bias"} <= set(switch.head):
                raise InputError(f"switch of task {task!r}", got="no head", expected="classifier.weight and .bias")
            self.bank.add(task, switch)
            classes = len(switch.head["classifier.bias"])
            self.lengths[task] = int(switch.config.get("max_length", MAX_LENGTH)) if max_length is None else max_length
            self.labels[task] = switch.config.get("labels") or [str(index) for index in range(classes)]
        self.max_length = max(self.lengths.values(), default=max_length or MAX_LENGTH)

    def classify(self, task: str, texts: Sequence[str], *, switched: bool = True) -> np.ndarray:
        """Class index of each text, by the task's head on the switched encoder, or on the plain base."""
        weights = {task: 1.0 if switched else 0.0}
        with self.bank.use(weights, head=task):
            return predict(self.model, texts, max_length=self.lengths[task])

    def router(self, **settings: Any) -> AutoSwitch:
        """An `AutoSwitch` over the bank that takes texts."""
        return AutoSwitch(self.bank, preprocess=self.prepare, **settings)

    def prepare(self, texts: list[str]) -> dict[str, Tensor]:
        """Texts as the model takes them: input_ids and attention_mask."""
        if not all(text.strip() for text in texts):
            raise InputError("text", got="an empty one", expected="at least one word in each")
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
