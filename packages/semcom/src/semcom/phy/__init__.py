"""The physical layer (inferred, standard): what TS 38.211 and 38.212 call each part, and where it is.

Definitions of power, SNR and bandwidth ratio: `_definitions`. Modulation: `_modulation`. CRC: `_crc`. LDPC base graphs
and rate matching: `_base_graph`; coding: `_ldpc`. Whole blocks: `_block`; quantised latents: `_latents`. Channels:
`_channel`, `_ofdm`. Pilots in a stream: `_pilots`. Error rates over a grid: `_sweep`.
"""

from semcom.phy._base_graph import layout
from semcom.phy._block import CodedBlock, interleaver, parse_rate
from semcom.phy._channel import KINDS, Channel, Received, complex_noise
from semcom.phy._crc import append_crc, check_crc, crc_bits
from semcom.phy._definitions import (
    MAX_VARIANCE,
    bandwidth_ratio,
    bit_error_awgn,
    bit_error_rayleigh,
    capacity_awgn,
    checked_symbols,
    ebn0_db,
    noise_variance,
    outage_rayleigh,
    power,
    q_function,
    reals_to_symbols,
    symbols_to_reals,
)
from semcom.phy._latents import LatentBlocks, lloyd_levels
from semcom.phy._ldpc import LdpcCode, ldpc
from semcom.phy._modulation import MODULATIONS, Modulation, hard_bits
from semcom.phy._pilots import PilotPattern
from semcom.phy._sweep import Point, error_interval, measure, parse_range, sweep

__all__ = [
    "KINDS",
    "MAX_VARIANCE",
    "MODULATIONS",
    "Channel",
    "CodedBlock",
    "LatentBlocks",
    "LdpcCode",
    "Modulation",
    "PilotPattern",
    "Point",
    "Received",
    "append_crc",
    "bandwidth_ratio",
    "bit_error_awgn",
    "bit_error_rayleigh",
    "capacity_awgn",
    "check_crc",
    "checked_symbols",
    "complex_noise",
    "crc_bits",
    "ebn0_db",
    "error_interval",
    "hard_bits",
    "interleaver",
    "layout",
    "ldpc",
    "lloyd_levels",
    "measure",
    "noise_variance",
    "outage_rayleigh",
    "parse_range",
    "parse_rate",
    "power",
    "q_function",
    "reals_to_symbols",
    "sweep",
    "symbols_to_reals",
]
