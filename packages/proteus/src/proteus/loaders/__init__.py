"""Loaders of every common format, found by what is in the file, never by its name.

`_load` finds the format; the programs' own columns stand in `layouts.json` and are read by `_layouts`; Olink, SomaScan
and mzTab in `_panels`, tidy tables in `_tidy`, FCS, h5ad and cells in `_cytometry`, plain tables in `_matrix`; sample
sheets in `_samples`; tables and cohorts that a user names in `_given`; knowledge files of users in
`_knowledge`.
"""

from proteus.loaders._cytometry import read_panel
from proteus.loaders._knowledge import add_symbols, load_gmt, load_network
from proteus.loaders._load import FORMATS, load, sniff
from proteus.loaders._samples import read_samples

__all__ = [
    "FORMATS", "add_symbols", "load", "load_gmt", "load_network",
    "read_panel", "read_samples", "sniff",
]  # fmt: skip
