"""Rival heads, with the interface of `heads.OccHead`: one short module each, one line in the table."""

from fastocc.baselines._bevnet import BevNet
from fastocc.baselines._c2h import ChannelToHeight
from fastocc.baselines._cascade import Cascade
from fastocc.baselines._fastocc2d import FastOcc2d
from fastocc.baselines._prior import Prior
from fastocc.baselines._tpv import Tpv
from fastocc.baselines._voxel3d import Voxel3d

BASELINES = {head.name: head for head in (BevNet, ChannelToHeight, Voxel3d, Cascade, Tpv, FastOcc2d, Prior)}

__all__ = [
    "BASELINES",
    "BevNet",
    "Cascade",
    "ChannelToHeight",
    "FastOcc2d",
    "Prior",
    "Tpv",
    "Voxel3d",
]
