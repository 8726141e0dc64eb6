"""Several users in one band (paper: orthogonal transmission): shares of the band by `_allocation`, slots or
subcarriers of their own in `_orthogonal`, and all at once as the rival in `_superposed`.
"""

from semcom.multiuser._allocation import ALLOCATIONS, allocate
from semcom.multiuser._orthogonal import ACCESS, MultiUserLink, User, UserResult, demodulate, modulate, owners
from semcom.multiuser._superposed import SUPERPOSABLE, SuperposedLink

__all__ = [
    "ACCESS",
    "ALLOCATIONS",
    "SUPERPOSABLE",
    "MultiUserLink",
    "SuperposedLink",
    "User",
    "UserResult",
    "allocate",
    "demodulate",
    "modulate",
    "owners",
]
