"""What a user writes; `tools/user_types.py` has `mypy --strict` read it."""

import torch
from bnn_fsg import FSG, BinaryTrainer, PackedModel, Schedule, binarize, datasets, pack
from torch import nn

train, test = datasets.digits("train"), datasets.digits("test")
net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
model = binarize(net, "dorefa", example_input=torch.zeros(1, 1, 8, 8))
fsg = FSG(model, torch.optim.Adam(model.parameters(), lr=1e-3), alpha=0.9)
history = BinaryTrainer(model, fsg, Schedule(epochs=1, batch=64)).fit(train, test)
packed = pack(model.eval(), torch.zeros(1, 1, 8, 8), mean=test.mean, std=test.std, white=test.white)
packed.save("digits.bnn", force=True)
classes = PackedModel.load("digits.bnn").predict(test.inputs(slice(0, 10)))
print(history.mean_loss, classes.tolist())
