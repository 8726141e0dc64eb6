"""Pictures, with or without a payload of bytes, over a channel whose every symbol is counted.

Names are resolved on first use, so importing this is light.

Examples:
    >>> import numpy as np
    >>> import semcom

    >>> pictures = semcom.datasets.load("embedded", limit=8)
    >>> link = semcom.CarrierImageLink.from_pretrained("mae-32p4", key="ours")
    >>> sent = link.transmit(pictures, b"hello")
    >>> received = semcom.Channel("awgn").apply(sent.symbols, 6.0, np.random.default_rng(0))
    >>> link.receive(received).payload
    b'hello'
    >>> semcom.__version__
    '...'
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from semcom import baselines as baselines
    from semcom import carrier as carrier
    from semcom import datasets as datasets
    from semcom import evaluation as evaluation
    from semcom import models as models
    from semcom import multimodal as multimodal
    from semcom import multiuser as multiuser
    from semcom import paper as paper
    from semcom import phy as phy
    from semcom import training as training
    from semcom import whole as whole
    from semcom.datasets import cut_tiles as cut_tiles
    from semcom.datasets import join_tiles as join_tiles
    from semcom.datasets import read_picture as read_picture
    from semcom.evaluation import compare as compare
    from semcom.links import PictureLink as PictureLink
    from semcom.links import Recording as Recording
    from semcom.links import SymbolReport as SymbolReport
    from semcom.links import carry as carry
    from semcom.models import load_jscc as load_jscc
    from semcom.models import load_mae as load_mae
    from semcom.multimodal import MMConfig as MMConfig
    from semcom.multimodal import MMSemCom as MMSemCom
    from semcom.multiuser import MultiUserLink as MultiUserLink
    from semcom.paper import CarrierImageLink as CarrierImageLink
    from semcom.paper import LinkConfig as LinkConfig
    from semcom.paper import MaskCodec as MaskCodec
    from semcom.paper import RxFrame as RxFrame
    from semcom.paper import TxFrame as TxFrame
    from semcom.paper import link_of as link_of
    from semcom.paper import play as play
    from semcom.paper import record as record
    from semcom.phy import Channel as Channel
    from semcom.phy import CodedBlock as CodedBlock
    from semcom.phy import Modulation as Modulation
    from semcom.phy import ldpc as ldpc
    from semcom.training import train as train

    __version__: str

_ROOMS = ("baselines", "carrier", "datasets", "evaluation", "models", "multimodal", "multiuser", "paper", "phy",
          "training", "whole")  # fmt: skip
__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        **{room: room for room in _ROOMS},
        **dict.fromkeys(("CarrierImageLink", "LinkConfig", "MaskCodec", "RxFrame", "TxFrame"), "paper"),
        **dict.fromkeys(("link_of", "play", "record"), "paper"),
        **dict.fromkeys(("cut_tiles", "join_tiles", "read_picture"), "datasets"),
        **dict.fromkeys(("PictureLink", "Recording", "SymbolReport", "carry"), "links"),
        **dict.fromkeys(("load_jscc", "load_mae"), "models"),
        **dict.fromkeys(("MMConfig", "MMSemCom"), "multimodal"),
        "MultiUserLink": "multiuser",
        "compare": "evaluation",
        "train": "training",
        **dict.fromkeys(("Channel", "CodedBlock", "Modulation", "ldpc"), "phy"),
    },
)
