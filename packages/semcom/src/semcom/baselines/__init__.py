"""Linear rivals for whole pictures: a block DCT (`_dct`) and SoftCast (`_softcast`). Codecs with a
code, DeepJSCC and ADJSCC are in `semcom.whole`.

Examples:
    >>> import numpy as np
    >>> from semcom import Channel, datasets
    >>> from semcom.baselines import SoftCast
    >>> from semcom.whole import carry_picture

    >>> picture = datasets.embedded_photographs()["coffee"]
    >>> carry_picture(SoftCast(1 / 6), picture, Channel("awgn"), 12.0, np.random.default_rng(0)).shape
    (96, 128, 3)
"""

from semcom.baselines._dct import BlockDct, powers
from semcom.baselines._softcast import SoftCast

__all__ = ["BlockDct", "SoftCast", "powers"]
