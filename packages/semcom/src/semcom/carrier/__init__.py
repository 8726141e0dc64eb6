"""The default of `carrier send`: whole pictures by the best link, and the payload with them (`_beside`), and
recordings of it (`_session`).

The published form, bits in the mask of a carrier picture, is the module `paper`.

Examples:
    >>> import numpy as np
    >>> from semcom import Channel, datasets
    >>> from semcom.carrier import beside_link

    >>> pictures = list(datasets.embedded_photographs().values())[:1]
    >>> link = beside_link()
    >>> received = Channel().apply(link.send(pictures, b"payload"), 6.0, np.random.default_rng(0))
    >>> link.receive(received, [picture.shape[:2] for picture in pictures]).payload
    b'payload'
"""

from semcom.carrier._beside import BesideConfig, BesideLink, beside_link
from semcom.carrier._session import beside_link_of, play_beside, record_beside

__all__ = ["BesideConfig", "BesideLink", "beside_link", "beside_link_of", "play_beside", "record_beside"]
