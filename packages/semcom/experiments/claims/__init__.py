"""What the publications claim, and what we say of this code: statements with bars, and one file a subject.

All statements: `_list`. The first system: whole pictures `_whole`; a payload in the latent grid and beside it
`_carrier`; coders trained through fading, against public ones and in ten minutes `_coders`; the published carrier
`_pictures`. The second system: `_mm`; in features that no training of ours saw `_foreign`, and there one pass of a
decoder trained against a critic `_perceptual`. What they share: `_common`.
"""

from ._list import CLAIMS, MM_CLAIMS

__all__ = ["CLAIMS", "MM_CLAIMS"]
