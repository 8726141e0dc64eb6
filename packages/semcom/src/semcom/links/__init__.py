"""What every way of sending pictures and bits has in common: accounting (`_report`), the interface (`_interface`),
symbols on disk (`_recording`) and as the samples of a radio (`_samples`), what a receiver writes (`_received`),
settings in files and on the command line (`_settings`).
"""

from semcom.links._interface import Delivered, PictureLink, carry
from semcom.links._recording import Played, Recording
from semcom.links._report import SymbolReport, checked_pictures
from semcom.links._samples import load_waveform, save_waveform
from semcom.links._settings import Settings

__all__ = [
    "Delivered", "PictureLink", "Played", "Recording", "Settings", "SymbolReport", "carry", "checked_pictures",
    "load_waveform", "save_waveform",
]  # fmt: skip
