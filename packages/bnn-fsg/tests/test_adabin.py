"""The published AdaBin ResNet-20, packed. The whole test split is a claim; here its first pictures, and its numbers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from bnn_fsg import adabin_resnet20, pack
from bnn_fsg_experiments.claims._packed import adabin_answers
from ninefold import datasets
from ninefold.errors import ArtifactError
from safetensors.numpy import save_file

here = datasets.data_dir("bnn-fsg")
needs_data = pytest.mark.skipif(here is None, reason="needs NINEFOLD_DATA/bnn-fsg")


@pytest.mark.data
@needs_data
def test_packed_gives_the_classes_of_the_float_path():
    labels, answers, size = adabin_answers(np.arange(0, 4000, 40))
    assert size <= 64 * 1024
    assert np.mean(answers["packed"] == answers["float path"]) >= 0.99
    assert 0.82 < np.mean(answers["packed"] == labels) < 0.93


@pytest.mark.data
@needs_data
def test_it_runs_without_torch_in_little_memory(tmp_path):
    pack(adabin_resnet20(), torch.zeros(1, 3, 32, 32)).save(tmp_path / "m.bnn")
    code = (
        "import sys, numpy as np\n"
        "from bnn_fsg import PackedModel\n"
        "PackedModel.load(sys.argv[1])(np.ones((200, 3, 32, 32), np.float32))\n"
        "assert 'torch' not in sys.modules\n"
        "print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('RssAnon')))\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "m.bnn")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert 1024 * int(done.stdout) <= 100e6


def test_another_file_is_refused_by_name(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"conv1.weight": np.zeros((1,), np.float32)}, path)
    with pytest.raises(ArtifactError, match=r"other\.safetensors.*no AdaBin"):
        adabin_resnet20(path)
    path.write_bytes(b"\0" * 50)
    with pytest.raises(ArtifactError, match=r"other\.safetensors"):
        adabin_resnet20(path)
