"""What `fuzz.py` feeds: for each package its readers of files, and a sample that each reads when it is whole.

A reader takes a path and returns the numbers that it read; `make` writes the sample below a folder, and returns where.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_samples import FORMS, GROUPS, MATRIX, RIG, Reader, arrays, kept, text, texts


def ninefold() -> Iterator[Reader]:
    from ninefold.artifacts import Artifact, load_state

    def whole(path: Path) -> Any:
        opened = Artifact(path, kind="ninefold.sample", format_version=1)
        for name in opened.names:
            opened.numpy(name)

    yield Reader("array file", kept("ninefold", "format-1.safetensors"), whole)
    state = {"kind": "ninefold.state", "format_version": 1}
    yield Reader("state", kept("ninefold", "state-1.safetensors"), lambda path: _only(load_state(path, **state)))


def _only(_: Any) -> None:
    """Of what was read, no number is checked."""


def bnn_fsg() -> Iterator[Reader]:
    from bnn_fsg import PackedModel
    from bnn_fsg.datasets._cifar import read as read_cifar
    from bnn_fsg.layers._nets import load_model

    def batch(folder: Path) -> Path:
        draw = np.random.default_rng(0)
        held = {b"data": draw.integers(0, 256, (3, 3072), dtype=np.uint8), b"labels": [0, 1, 2]}
        (folder / "data_batch_1").write_bytes(pickle.dumps(held, protocol=2))
        return folder / "data_batch_1"

    yield Reader("packed network", kept("bnn-fsg", "every-operation.bnn"), lambda path: _only(PackedModel.load(path)))
    yield Reader("network", kept("bnn-fsg", "model.safetensors"), lambda path: _tensors(load_model(path)[0]))
    yield Reader("CIFAR batch", batch, lambda path: read_cifar(path)[:2])


def _tensors(module: Any) -> list[Any]:
    return [tensor.numpy(force=True) for tensor in module.state_dict().values()]


def fastocc() -> Iterator[Reader]:
    from fastocc import CameraRig
    from fastocc.datasets import _annotations, _labels

    eye = np.eye(4).tolist()
    camera = {"img_path": "a.jpg", "intrinsic": [[600.0, 0, 400], [0, 600, 225], [0, 0, 1]], "extrinsic": eye,
              "ego_pose": eye}  # fmt: skip
    frame = {"ego_pose": eye, "camera_sensor": {"FRONT": camera}, "gt_path": "gts/a/labels.npz"}
    about = {"train_split": ["s"], "val_split": [], "scene_infos": {"s": {"t": frame}}}
    draw = np.random.default_rng(0)
    voxels = draw.integers(0, 18, (200, 200, 16), dtype=np.uint8)
    mask = np.ones_like(voxels)
    listed = np.unique(np.c_[draw.integers(0, 200, (50, 2)), draw.integers(0, 16, 50)], axis=0)
    listed = np.c_[listed, draw.integers(1, 17, len(listed))]
    flat = np.c_[np.arange(0, 600_000, 7000), np.arange(86) % 16]

    def occ3d(path: Path) -> Any:
        found = _labels.read_occ3d(path)
        return [found.semantics]

    yield Reader("rig", text("rig.yaml", RIG), lambda path: _cameras(CameraRig.from_yaml(path)))
    yield Reader("annotations", text("annotations.json", json.dumps(about)), lambda path: _poses(
        _annotations.read_annotations(path.parent, "train")))  # fmt: skip
    yield Reader("occ3d", arrays("labels.npz", semantics=voxels, mask_camera=mask, mask_lidar=mask), occ3d)
    yield Reader("surroundocc", arrays("a.npy", all=listed), lambda path: [_labels.read_surroundocc(path).semantics])
    yield Reader("openocc v1", arrays("b.npy", all=flat), lambda path: [_labels.read_openocc_v1(path).semantics])


def _cameras(rig: Any) -> list[np.ndarray]:
    return [rig.cam2img, rig.cam2ego]


def _poses(frames: Any) -> list[np.ndarray]:
    return [held for frame in frames for one in frame.cameras.values() for held in (one.intrinsic, one.cam2label)]


def mecoin() -> Iterator[Reader]:
    import scipy.sparse as sp
    from mecoin import Mecoin, Split
    from mecoin import datasets as readers

    adjacency = sp.csr_array(np.roll(np.eye(8, dtype=np.float32), 1, 1))
    features = sp.csr_array(np.eye(8, 5, dtype=np.float32))
    held = {f"{name}_{part}": getattr(matrix, part) for name, matrix in (("adj", adjacency), ("attr", features))
            for part in ("data", "indices", "indptr", "shape")}  # fmt: skip
    lists = texts(
        edges__csv="a,b\nb,c\nc,d\nd,a\n",
        labels__csv="a,x\nb,x\nc,y\nd,y\n",
        features__csv="a,1,2\nb,3,4\nc,5,6\nd,7,8\n",
    )

    def own(folder: Path) -> Any:
        names = [folder / f"{name}.csv" for name in ("edges", "labels", "features")]
        return _of_graph(readers.read_edge_list(*names)[0])

    yield Reader("PyG's npz", arrays("g.npz", **held, labels=np.arange(8) % 3), lambda path: _of_graph(
        readers.read_npz(path)))  # fmt: skip
    yield Reader("own graph", lists, own)
    yield Reader("split", kept("mecoin", "bench/split.json"), lambda path: _only(Split.load(path)))
    yield Reader("model", kept("mecoin", "plus.safetensors"), lambda path: _only(Mecoin.load(path)))
    yield Reader("model, paper", kept("mecoin", "paper.safetensors"), lambda path: _only(Mecoin.load(path)))


def _of_graph(graph: Any) -> list[np.ndarray]:
    return [graph.x.data if hasattr(graph.x, "indptr") else np.asarray(graph.x)]


def mldgg() -> Iterator[Reader]:
    import scipy.io
    import scipy.sparse as sp
    from mldgg.datasets import _collections, load_facebook, read_folder

    def schools(folder: Path) -> Path:
        network = sp.csc_matrix(np.roll(np.eye(6), 1, 1) + np.roll(np.eye(6), -1, 1))
        info = np.arange(42).reshape(6, 7) % 3 + 1
        scipy.io.savemat(folder / "Ames.mat", {"A": network, "local_info": info})
        return folder

    def citation(folder: Path) -> Path:
        network, groups = sp.csc_matrix(np.roll(np.eye(6), 1, 1)), (np.arange(30).reshape(6, 5) % 6 == 0).astype("u1")
        scipy.io.savemat(folder / "acm.mat", {"network": network, "attrb": np.eye(6, 4, dtype="u1"), "group": groups})
        return folder / "acm.mat"

    own = texts(edges__csv="a,b\nb,c\nc,a\n", features__csv="a,1,2\nb,3,4\nc,5,6\n", labels__csv="a,x\nb,y\n")
    airports = {"usa-airports__edgelist": "1 2\n2 3\n3 1\n", "labels-usa-airports__txt": "node label\n1 0\n2 1\n3 3\n"}
    yield Reader("own graph", own, lambda folder: _graphs(read_folder(folder)))
    yield Reader("Facebook", schools, lambda folder: _graphs(load_facebook(folder)))
    yield Reader("citation", citation, lambda path: _of_graph(_collections._read_citation(path, "acm")))
    yield Reader("airports", texts(**airports), lambda folder: _of_graph(_collections._airports(folder, "usa")))


def _graphs(found: dict[str, Any]) -> list[np.ndarray]:
    return [values for graph in found.values() for values in _of_graph(graph)]


def proteus() -> Iterator[Reader]:
    from proteus.data._data import ProteomicsData
    from proteus.loaders import _knowledge, _load, _samples
    from proteus.record._journal import read_journal
    from proteus.record._run_folder import read_frame

    def table(path: Path) -> Any:
        return [_load.load(path).values]

    sheet = "sample,group,age\ns1,a,3\ns2,b,4\ns3,a,5\n"
    frame = "run/artifacts/O1.S2.v1.features.parquet"
    yield Reader("proteinGroups", text("proteinGroups.txt", GROUPS), table, missing=True)
    yield Reader("matrix", text("matrix.csv", MATRIX), table, missing=True)
    yield Reader("sample sheet", text("samples.csv", sheet), lambda path: _only(_samples.read_samples(path)))
    yield Reader("gene sets", text("sets.gmt", "A\tx\tG1\tG2\nB\ty\tG2\tG3\n"), lambda path: _only(
        _knowledge.load_gmt(path)))  # fmt: skip
    yield Reader("network", text("links.tsv", "G1\tG2\t0.9\nG2\tG3\t0.4\n"), lambda path: _only(
        _knowledge.load_network(path)))  # fmt: skip
    yield Reader("kept table", kept("proteus", "run/input/table"), lambda path: [ProteomicsData.open(path).values],
                 missing=True)  # fmt: skip
    yield Reader("journal", kept("proteus", "run/events.jsonl"), lambda path: _only(read_journal(path)))
    yield Reader("artefact", kept("proteus", frame), lambda path: _only(read_frame(path)))


def recsys() -> Iterator[Reader]:
    import recsys as package

    for name in ("ials", "item-knn", "markov"):
        yield Reader(f"model {name}", kept("recsys", name), lambda folder: _only(
            package.load(folder).recommend(["u3"], 3).to_pylist()))  # fmt: skip
    events = "user,item,value,time\nu1,i1,3,1\nu2,i1,4,2\nu2,i2,1,3\n"
    yield Reader("events", text("events.csv", events), lambda path: _only(
        package.Dataset.from_frame(path, user="user", item="item", value="value", time="time")))  # fmt: skip
    for form, (name, content) in FORMS.items():
        yield Reader(form, text(name, content), lambda path: _only(package.loaders.movielens(path)))


_PAYLOAD = b"bytes that arrive whole or are refused"


def semcom() -> Iterator[Reader]:
    from semcom import CarrierImageLink, Channel, Recording, read_picture, record
    from semcom.carrier import BesideConfig, beside_link, beside_link_of, play_beside, record_beside
    from semcom.links import load_waveform, save_waveform
    from semcom.links._samples import DATATYPES
    from semcom.models import load_jscc
    from semcom.models._store import built_in_path
    from semcom.multimodal._captions import read_captions
    from semcom.paper import link_of, play
    from semcom.phy import PilotPattern

    def picture(folder: Path) -> Path:
        from PIL import Image

        draw = np.random.default_rng(0)
        Image.fromarray(draw.integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(folder / "p.png")
        return folder / "p.png"

    def recording(folder: Path) -> Path:
        symbols = np.ones((1, 12), np.complex64)
        Recording(symbols, "mae-32p4", [(32, 32)]).save(folder / "sent")
        return folder / "sent"

    def coder(folder: Path) -> Path:
        return Path(shutil.copy(built_in_path("adjscc-c8"), folder / "coder.safetensors"))

    def sent(form: str, datatype: str = "") -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            side = 64 if form == "paper" else 16
            picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
            if form == "paper":
                held = record(CarrierImageLink.from_pretrained("mae-32p4"), [picture], _PAYLOAD[:4])[0]
            else:
                held = record_beside(beside_link(), [picture], _PAYLOAD, PilotPattern(64, 2))
            if datatype:
                save_waveform(held, folder / f"{datatype} wave", datatype=datatype)
            else:
                held.save(folder / "sent")
            return next(folder.iterdir())

        return make

    def received(path: Path) -> Any:
        """The pictures; an error of no type where the payload is neither refused nor that of the sender."""
        held = load_waveform(path) if path.name.endswith("wave") else Recording.load(path)
        if held.link.get("system") == "beside":
            played = play_beside(beside_link_of(held, path), held, path)
        else:
            played = play(link_of(held, path, "mae-32p4", "0"), held, path)
        if played.payload not in (None, _PAYLOAD, _PAYLOAD[:4]):
            raise AssertionError(f"wrong bytes: {played.payload!r}")
        return played.pictures

    yield Reader("picture", picture, lambda path: [read_picture(path)])
    yield Reader("symbols", recording, lambda path: [np.abs(Recording.load(path).symbols)])
    for form, datatype in (("beside", ""), ("paper", ""), *(("beside", one) for one in DATATYPES)):
        yield Reader(f"{form} {datatype or 'symbols'} received", sent(form, datatype), received)
    yield Reader("coder", coder, lambda path: _tensors(load_jscc(path)))
    yield Reader("captions", text("captions.csv", "file,caption\na.png,a cat\nb.png,a dog\n"), lambda path: _only(
        read_captions(path)))  # fmt: skip
    yield Reader("channel", text("spec", "rayleigh:block=64,csi=pilot"), lambda path: _only(
        Channel.from_spec(path.read_bytes().decode("latin1"))))  # fmt: skip
    yield Reader("settings", text("spec", "channels=4,snr=3.5,fec=ldpc:1/2"), lambda path: _only(
        BesideConfig.from_text(path.read_bytes().decode("latin1"))))  # fmt: skip


def tokenprune() -> Iterator[Reader]:
    from tokenprune.datasets import _rows
    from tokenprune.ftp import PublishedConfig
    from tokenprune.pruner import _files

    def pruner(folder: Path) -> Any:
        return [tensor.numpy() for tensor in _files.read(folder, PublishedConfig)[1].values()]

    rows = '{"question": "Is it?", "choices": ["yes", "no"], "label": 0}\n' * 2
    yield Reader("pruner", kept("tokenprune", "pruner"), pruner)
    yield Reader("text", text("a.txt", "Some words.\nAnd more.\n"), lambda path: _only(_rows.read_text(path)))
    yield Reader("rows", text("a.jsonl", rows), lambda path: _only(_rows.of_path(path)))


def tswitch() -> Iterator[Reader]:
    from tswitch import Checkpoint, QuerySet, Recipe, Switch
    from tswitch.datasets._text_data import read_rows

    def checkpoint(folder: Path) -> Any:
        opened = Checkpoint.open(folder)
        for name in opened.names:
            opened.read(name)

    texts_of = "split,label,text\ntrain,a,hello\ntrain,b,bye\ntest,a,hi\n"
    yield Reader("switch", kept("tswitch", "switch-v1"), lambda path: _only(Switch.from_pretrained(path).verify()))
    yield Reader("query set", kept("tswitch", "text/switch"), lambda path: _only(QuerySet.load(path)))
    yield Reader("checkpoint", kept("tswitch", "merged"), checkpoint)
    yield Reader("recipe", kept("tswitch", "recipe.yml"), lambda path: _only(Recipe.read(path)))
    yield Reader("texts", text("texts.csv", texts_of), lambda path: _only(read_rows(path)))


READERS: dict[str, Callable[[], Iterator[Reader]]] = {
    "ninefold-core": ninefold, "bnn-fsg": bnn_fsg, "fastocc": fastocc, "mecoin": mecoin, "mldgg": mldgg,
    "proteus": proteus, "recsys": recsys, "semcom": semcom, "tokenprune": tokenprune, "tswitch": tswitch,
}  # fmt: skip
