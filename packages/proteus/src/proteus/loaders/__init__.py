"""Loaders of every common format, found by what is in the file, never by its name.

`_load` finds the format; MaxQuant in `_maxquant`, DIA-NN, Spectronaut and Skyline in `_dia`, FragPipe in `_fragpipe`,
Olink, SomaScan, CPTAC and mzTab in `_panels`, FCS, h5ad and tables of cells in `_cytometry`, plain tables in `_matrix`;
sample sheets in `_samples`; gene sets, ontologies, annotations, networks and abstracts in `_knowledge`.
"""

from proteus.loaders._cytometry import read_panel
from proteus.loaders._knowledge import add_symbols, load_gaf, load_gmt, load_literature, load_network, load_obo
from proteus.loaders._load import FORMATS, load, sniff
from proteus.loaders._samples import read_samples

__all__ = [
    "FORMATS", "add_symbols", "load", "load_gaf", "load_gmt", "load_literature", "load_network", "load_obo",
    "read_panel", "read_samples", "sniff",
]  # fmt: skip
