"""What the publications claim, and what we say of this code: statements with bars, and one file a subject.

The first system: statements `_list`; the published carrier `_pictures`; whole pictures `_whole`; shared parts
`_shared`. The second system: `_mm`.
"""

from ._list import CLAIMS
from ._mm import MM_CLAIMS

__all__ = ["CLAIMS", "MM_CLAIMS"]
