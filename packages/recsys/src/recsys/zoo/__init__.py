"""Published networks that simpler models lead in our tables: for comparisons. Extra `torch`.

Mult-VAE (Liang 2018) in `_mult_vae`, HSTU (Zhai 2024) in `_hstu`, eSASRec (gated blocks) in `_esasrec`.

Examples:
    >>> import recsys

    >>> sales = {"who": "ann ann ann bob bob cy cy".split(), "what": "tea pot mug tea pot tea mug".split()}
    >>> data = recsys.Dataset.from_frame(sales, user="who", item="what")
    >>> recsys.zoo.MultVAE(hidden=16, latent=4, epochs=10).fit(data).recommend_one("bob", k=1)[0][0]
    'mug'
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from recsys.zoo._esasrec import ESASRec as ESASRec
    from recsys.zoo._hstu import HSTU as HSTU
    from recsys.zoo._mult_vae import MultVAE as MultVAE

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ESASRec": "_esasrec",
        "HSTU": "_hstu",
        "MultVAE": "_mult_vae",
    },
)
