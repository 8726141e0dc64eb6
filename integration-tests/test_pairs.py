"""Packages used together, as their users would: each hands the other a plain form, and neither imports the other."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from workspace import packages


@pytest.fixture
def encoders(tmp_path):
    """Folders of a small BERT with its tokenizer, and of the same fine-tuned: weights of one layer moved a little."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "red", "blue", "shoes", "lamp", "of", "glass"]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")  # noqa: S106
    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = BertModel(BertConfig(vocab_size=len(words), **size))
    for name in ("base", "tuned"):
        if name == "tuned":
            with torch.no_grad():
                model.encoder.layer[0].output.dense.weight += 0.3 * torch.randn(32, 64).sign()  # a switch says it all
        model.save_pretrained(tmp_path / name)
        fast.save_pretrained(tmp_path / name)
    return tmp_path / "base", tmp_path / "tuned"


def test_recsys_ranks_new_items_by_an_encoder_that_tswitch_exported(encoders, tmp_path):
    import pyarrow as pa
    import recsys
    from tswitch import compress, export

    base, tuned = encoders
    texts = ["red shoes", "blue shoes", "lamp of glass", "red lamp"]
    export(base, compress(base, tuned, tmp_path / "switch", alpha=0.0, scale="mean"), tmp_path / "exported")
    by_base, by_tuned, ours = (recsys.encode_texts(texts, where) for where in (base, tuned, tmp_path / "exported"))
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, rtol=1e-5)
    assert np.abs(ours - by_base).max() > 0.01  # the switch is in what recsys reads
    np.testing.assert_allclose(ours, by_tuned, atol=1e-4)

    events = pa.table({"user": ["a", "a", "b", "b", "c"], "item": ["i0", "i2", "i0", "i1", "i2"]})
    items = pa.table({"item": ["i0", "i1", "i2", "i3"], "text": texts})
    data = recsys.Dataset.from_frame(events, user="user", item="item", items=items)
    model = recsys.ContentKNN(columns="text", encoder=str(tmp_path / "exported")).fit(data)
    assert "i3" in model.recommend(["c"], k=3).column("item").to_pylist()  # an item that nobody had yet


def test_mecoin_and_mldgg_take_the_same_pyg_data(tmp_path):
    from mecoin import Mecoin, from_pyg, to_pyg
    from mldgg import MLDGG, GraphDomains, Simulated, split_support
    from mldgg import to_pyg as pyg

    graphs = {name: pyg(graph) for name, graph in Simulated(nodes=150).draw(seed=0).items()}
    for data in graphs.values():
        data.x = data.x.to_dense() if data.x.is_sparse else data.x
    before = {name: (data.x.clone(), data.edge_index.clone(), data.y.clone()) for name, data in graphs.items()}
    target = sorted(graphs)[0]

    domains = GraphDomains(graphs)
    support = split_support(domains[target].y, shots=5, seed=0)
    solver = MLDGG().fit(domains.without(target))
    answers = solver.adapt(domains[target].hidden(support.support)).predict()
    assert answers.shape == (graphs[target].num_nodes,)

    graph = from_pyg(graphs[target])
    model = Mecoin()
    model.fit_base(graph, np.arange(len(graph.y)) % 2 == 0)
    asked = np.arange(1, len(graph.y), 2)
    right = [graph.classes[code] for code in graph.y[asked]]
    assert np.mean([a == b for a, b in zip(model.predict(graph, asked), right, strict=True)]) > 1 / len(graph.classes)

    again = to_pyg(graph)  # and back, for mldgg
    assert torch.equal(again.y, graphs[target].y)
    pairs = [{tuple(pair) for pair in data.edge_index.T.tolist()} for data in (again, graphs[target])]
    assert pairs[0] == pairs[1]
    for name, (x, edges, y) in before.items():  # neither wrote into what the other reads
        assert torch.equal(graphs[name].x, x)
        assert torch.equal(graphs[name].edge_index, edges)
        assert torch.equal(graphs[name].y, y)


def test_importing_all_packages_at_once_loads_nothing_heavy_and_none_hides_another():
    names = [package.import_name for package in packages().values()]
    code = (
        f"import sys, {', '.join(names)}; print(sorted(set(sys.modules) & {{'torch', 'matplotlib', 'transformers'}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
