"""What a user writes; `tools/user_types.py` has `mypy --strict` read it."""

import numpy as np
from mecoin import Graph, Mecoin, SessionStream, Simulated

data: Graph = Simulated(classes=12).draw(seed=0)
first, second, *_ = SessionStream(data, base=6, way=2, shot=5)
model = Mecoin().fit_base(first.graph, np.isin(first.graph.ids, first.train))
support = {data.classes[code]: nodes for code, nodes in second.support.items()}
model.add_classes(second.graph, support).save("model.safetensors")
print(model.labels, model.predict(second.graph, second.test).shape, model.memory_report())
