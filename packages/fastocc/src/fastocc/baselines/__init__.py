"""Rival heads, with the interface of `heads.OccHead`: one short module each, one line in the table."""

from fastocc.baselines._bevdet_occ import BevDetOcc
from fastocc.baselines._bevnet import BevNet
from fastocc.baselines._c2h import ChannelToHeight, FlashOcc
from fastocc.baselines._cascade import Cascade
from fastocc.baselines._fastocc2d import FastOcc2d
from fastocc.baselines._prior import Prior
from fastocc.baselines._tpv import Tpv
from fastocc.baselines._voxel3d import Voxel3d

_HEADS = (BevNet, ChannelToHeight, Voxel3d, Cascade, Tpv, FastOcc2d, Prior, FlashOcc, BevDetOcc)
BASELINES = {head.name: head for head in _HEADS}

__all__ = [
    "BASELINES",
    "BevDetOcc",
    "BevNet",
    "Cascade",
    "ChannelToHeight",
    "FastOcc2d",
    "FlashOcc",
    "Prior",
    "Tpv",
    "Voxel3d",
]
