"""The physical layer (inferred, standard): what TS 38.211 and 38.212 call each part, and where it is.

Definitions of power, SNR and bandwidth ratio: `_definitions`. Modulation: `_modulation`. LDPC: `_ldpc`, its
decoder `_layered`. Blocks with their CRC: `_block`; messages of several
code blocks, modulation and rate by SNR: `_transport`. Channels: `_channel`, `_ofdm`, `_mimo`; with gradients:
`_torch_channel`. Pilots in a stream: `_pilots`; symbols as samples: `_waveform`, `_equaliser`. Error rates over a grid:
`_sweep`.

Examples:
    >>> from semcom import phy

    >>> round(phy.capacity_awgn(10.0), 2)  # bits a symbol at 10 dB
    3.46
    >>> round(phy.bit_error_awgn(4.0), 5)  # of QPSK, at a linear Eb/N0
    0.00234
    >>> phy.choose_mcs(8.0).modulation
    '16qam'
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

from semcom.phy._block import (
    CodedBlock,
    append_crc,
    bit_interleaver,
    check_crc,
    crc_bits,
    interleaver,
    parse_rate,
    restored,
)
from semcom.phy._channel import KINDS, Channel, Received
from semcom.phy._definitions import (
    MAX_VARIANCE,
    bandwidth_ratio,
    bit_error_awgn,
    bit_error_rayleigh,
    capacity_awgn,
    checked_symbols,
    complex_noise,
    ebn0_db,
    noise_variance,
    outage_rayleigh,
    power,
    q_function,
    reals_to_symbols,
    symbols_to_reals,
)  # fmt: skip
from semcom.phy._ldpc import LdpcCode, layout, ldpc
from semcom.phy._modulation import MODULATIONS, Modulation, hard_bits
from semcom.phy._ofdm import tdl_profile
from semcom.phy._pilots import PilotPattern
from semcom.phy._sweep import Point, error_interval, measure, parse_range, resumed, sweep
from semcom.phy._transport import Mcs, TransportBlock, choose_mcs, mcs_table
from semcom.phy._waveform import Waveform

if TYPE_CHECKING:
    from semcom.phy._torch_channel import apply_torch as apply_torch
    from semcom.phy._torch_channel import torch_noise_equivalent as torch_noise_equivalent

__getattr__, __dir__, _ = attach(  # torch only where it is used
    __name__, dict.fromkeys(("apply_torch", "torch_noise_equivalent"), "_torch_channel")
)

__all__ = [
    "KINDS", "MAX_VARIANCE", "MODULATIONS", "Channel", "CodedBlock", "LdpcCode", "Mcs", "Modulation", "PilotPattern",
    "Point", "Received", "TransportBlock", "Waveform", "append_crc", "apply_torch", "bandwidth_ratio", "bit_error_awgn",
    "bit_error_rayleigh", "bit_interleaver", "capacity_awgn", "check_crc", "checked_symbols", "choose_mcs",
    "complex_noise", "crc_bits",
    "ebn0_db", "error_interval", "hard_bits", "interleaver", "layout", "ldpc", "mcs_table", "measure", "noise_variance",
    "outage_rayleigh", "parse_range", "parse_rate", "power", "q_function", "reals_to_symbols", "restored", "resumed",
    "sweep", "symbols_to_reals", "tdl_profile", "torch_noise_equivalent",
]  # fmt: skip
