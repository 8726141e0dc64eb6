"""SASRec beside RecTools' SASRec: the same events, sizes, loss and epochs, one judge, one JSON line a seed.

Entree's sessions, each one's last restaurant held out, all restaurants ranked, seen ones among them. Each part runs in
an environment of its own, for RecTools needs an older scipy than ours; FOLDER holds what passes between them (Parquet):

    uv run python packages/recsys/experiments/benchmarks/peer_rectools.py ours FOLDER       # NINEFOLD_DATA points at the data
    uv run --no-project --with "rectools[torch]==0.19.0" --with "pyarrow<20" \\
        python packages/recsys/experiments/benchmarks/peer_rectools.py theirs FOLDER
    uv run python packages/recsys/experiments/benchmarks/peer_rectools.py judge FOLDER
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

EPOCHS, SEEDS, K = 10, (0, 1), 10


def ours(folder):
    """Write the events, and our lists with the seconds of each fit."""
    import recsys

    sys.path.insert(0, str(Path(__file__).parents[1]))
    import real_sets

    train, test = real_sets.entree().split.leave_last_out()
    frame = {"user": train.user, "item": train.item, "time": np.arange(len(train))}  # ties keep the file's order
    pd.DataFrame(frame).to_parquet(folder / "train.parquet")
    user, item = test.encoded(train.user_ids, train.item_ids)
    warm = (user >= 0) & (item >= 0)
    pd.DataFrame({"user": user[warm], "item": item[warm]}).to_parquet(folder / "test.parquet")
    plain = recsys.Dataset.from_frame(
        pd.read_parquet(folder / "train.parquet"), user="user", item="item", time="time", time_unit="index"
    )
    for seed in SEEDS:
        model = recsys.SASRec(
            factors=64, blocks=2, heads=1, dropout=0.1, max_len=50, batch=128, learning_rate=0.001, epochs=EPOCHS,
            patience=EPOCHS, seed=seed,
        )  # fmt: skip
        start = time.process_time()
        model.fit(plain)
        seconds = time.process_time() - start
        lists = model.recommend(np.unique(user[warm]), K, filter_seen=False).to_pandas()
        keep(folder, f"ours-{seed}", lists[["user", "item", "rank"]], seconds)


def theirs(folder):
    """Write RecTools' lists with the seconds of each fit."""
    import torch
    from pytorch_lightning import Trainer, seed_everything
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    torch.set_num_threads(1)
    frame = pd.read_parquet(folder / "train.parquet")
    frame = frame.rename(columns={"user": Columns.User, "item": Columns.Item, "time": Columns.Datetime})
    frame[Columns.Datetime] = pd.to_datetime(frame[Columns.Datetime], unit="s")
    data = Dataset.construct(frame.assign(**{Columns.Weight: 1.0}))
    users = pd.read_parquet(folder / "test.parquet")["user"].unique()
    for seed in SEEDS:
        seed_everything(seed)
        model = SASRecModel(
            n_factors=64, n_blocks=2, n_heads=1, dropout_rate=0.1, session_max_len=50, batch_size=128, lr=0.001,
            epochs=EPOCHS, loss="softmax",
            get_trainer_func=lambda: Trainer(
                max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_checkpointing=False,
                enable_progress_bar=False, enable_model_summary=False,
            ),
        )  # fmt: skip
        start = time.process_time()
        model.fit(data)
        seconds = time.process_time() - start
        lists = model.recommend(users=users, dataset=data, k=K, filter_viewed=False, on_unsupported_targets="ignore")
        lists = lists.rename(columns={Columns.User: "user", Columns.Item: "item", Columns.Rank: "rank"})
        keep(folder, f"theirs-{seed}", lists[["user", "item", "rank"]], seconds)


def keep(folder, name, lists, seconds):
    """Write lists and what they took."""
    lists.to_parquet(folder / f"{name}.parquet")
    (folder / f"{name}.json").write_text(json.dumps({"seconds": seconds}))


def judge(folder):
    """Print a line for each seed: reciprocal ranks within ten, and the difference with its 95 % interval over users."""
    from ninefold.measure import emit

    test = pd.read_parquet(folder / "test.parquet")
    for seed in SEEDS:
        score, seconds = {}, {}
        for side in ("ours", "theirs"):
            lists = pd.read_parquet(folder / f"{side}-{seed}.parquet").astype({"user": "int64", "item": "int64"})
            found = test.merge(lists, on=["user", "item"], how="left")["rank"]
            score[side] = np.nan_to_num(1 / found.to_numpy(float))
            seconds[side] = json.loads((folder / f"{side}-{seed}.json").read_text())["seconds"]
        gain = score["ours"] - score["theirs"]
        error = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))
        emit(
            data="Entree, last event", seed=seed, epochs=EPOCHS, users=len(test), metric="mrr@10",
            ours=score["ours"].mean(), rectools=score["theirs"].mean(), gain=gain.mean(), low=gain.mean() - error,
            high=gain.mean() + error, seconds=seconds["ours"], rectools_seconds=seconds["theirs"],
        )  # fmt: skip


if __name__ == "__main__":
    {"ours": ours, "theirs": theirs, "judge": judge}[sys.argv[1]](Path(sys.argv[2]))
