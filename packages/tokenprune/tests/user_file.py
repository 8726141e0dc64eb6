"""What a user writes; `tools/user_types.py` has `mypy --strict` read it."""

import torch
from tokenprune import tiny_model, windows
from tokenprune.ftp import PublishedConfig, PublishedPruner, SearchConfig, TrainConfig

model = tiny_model(seed=0)
ids = torch.randint(1, 256, (2000,))
text = windows(ids, length=64, scored=8, count=8, seed=0)
pruner = PublishedPruner(model, PublishedConfig(target_sparsity=0.3))
pruner.search(text, SearchConfig(population=6, generations=1))
pruner.fit_router(text, TrainConfig(steps=2))
with pruner:
    logits = model(ids[None, :64], logits_to_keep=1).logits
pruner.save_pretrained("pruner", force=True)
print(pruner.report(ids[None, :64]).sparsity, logits.shape)
