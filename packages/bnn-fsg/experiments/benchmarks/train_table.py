"""Estimators, forwards of the weights and optimisers from one trained start: the table, cell by cell.

    bnn-fsg pretrain --net resnet20 --data DIR --epochs 100 --lr 3e-3 --schedule cosine --augment -o float
    OMP_NUM_THREADS=1 python packages/bnn-fsg/experiments/benchmarks/train_table.py DIR float cells

DIR is $NINEFOLD_DATA/bnn-fsg/cifar10-lossless-14k, `cells` the folder of results. A run that was killed goes on at the
cell where it was; cells may be made by several processes on the same folder, each with other FORWARDS:

    ... train_table.py DIR float cells --forwards dorefa
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bnn_fsg import datasets
from bnn_fsg.layers._nets import load_model
from halving import FORWARDS, GRADIENTS, Halving, Plan


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("start", type=Path)
    options.add_argument("cells", type=Path)
    options.add_argument("--forwards", default=",".join(FORWARDS))
    options.add_argument("--gradients", default=",".join(GRADIENTS))
    given = options.parse_args()
    start, recipe = load_model(given.start / "model.safetensors")
    whole, test = (datasets.load(str(given.data), split) for split in ("train", "test"))
    held = len(whole) // 10
    splits = {"train": whole.part(held, None), "validation": whole.part(0, held), "test": test}
    table = Halving(
        start, recipe, splits, given.cells, Plan(),
        gradients=given.gradients.split(","), forwards=given.forwards.split(","),
        on_cell=lambda name: print(name, flush=True),
    ).run()  # fmt: skip
    text = table.to_markdown() + "\n"
    (given.cells / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
