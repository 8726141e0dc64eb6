"""What the publication claims, and what we say of this code: statements with bars (`_list`), and one file a subject.

Pictures: `_pictures`. Bits: `_bits`. Joint against separate coding: `_separation`. Shared parts: `_shared`.
The second system, whose weights have yet to be trained: `_mm`.
"""

from semcom.claims._list import CLAIMS

__all__ = ["CLAIMS"]
