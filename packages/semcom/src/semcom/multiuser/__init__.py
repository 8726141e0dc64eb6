"""Several users in one band (paper: orthogonal transmission): shares of the band by `_allocation`, slots or
subcarriers of their own in `_orthogonal`. Their rival, all users at once, is an experiment's.

Examples:
    >>> from semcom.multiuser import ALLOCATIONS, allocate, owners

    >>> sorted(ALLOCATIONS)
    ['maxmin', 'proportional', 'round-robin']
    >>> shares = allocate(12, [12, 12, 12], [0.0, 5.0, 10.0], "round-robin", 1)
    >>> shares
    [4, 4, 4]
    >>> owners(shares, "tdma")
    array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
"""

from semcom.multiuser._allocation import ALLOCATIONS, allocate
from semcom.multiuser._orthogonal import ACCESS, MultiUserLink, User, UserResult, owners

__all__ = ["ACCESS", "ALLOCATIONS", "MultiUserLink", "User", "UserResult", "allocate", "owners"]
