"""A tiny encoder and tiny tasks, so that whole fine-tuning runs take a moment."""

import numpy as np
from tswitch.datasets._text_data import Split, TextTask
from tswitch.models._tiny_text import TinyConfig, TinyTextNet

WORDS = {"fruit": ["apple", "pear", "plum", "fig"], "tool": ["saw", "drill", "file", "clamp"], "sea": ["wave", "gull"]}


def base(folder):
    """A base folder of a TinyTextNet with random weights."""
    import torch

    torch.manual_seed(0)
    TinyTextNet(TinyConfig(vocab_size=256, hidden_size=16, num_hidden_layers=2)).save_pretrained(folder)
    return folder


def task(name="things", classes=("fruit", "tool"), rows=120):
    """Sentences whose class is told by one word; the words around it are noise."""
    rng = np.random.default_rng(len(name))

    def split(count):
        labels = np.arange(count) % len(classes)
        texts = [
            " ".join([rng.choice(["see", "this", "my"]), rng.choice(WORDS[classes[label]]), f"no {rng.integers(1e6)}"])
            for label in labels
        ]
        return Split(tuple(texts), labels.astype(np.int64))

    return TextTask(name, tuple(classes), split(rows), split(40), split(60))


def csv(path, classes=("fruit", "tool", "sea"), rows=240):
    """The same kind of sentences as a CSV file of a user's own rows; returns the path."""
    made = task(classes=classes, rows=rows)
    lines = ["split,label,text"]
    for name, split in (("train", made.train), ("validation", made.validation), ("test", made.test)):
        lines += [f"{name},{classes[label]},{text}" for text, label in zip(split.texts, split.labels, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
