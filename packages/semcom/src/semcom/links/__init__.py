"""What every way of sending pictures and bits has in common: accounting (`_report`), the interface (`_interface`)."""

from semcom.links._interface import Delivered, PictureLink, carry
from semcom.links._report import SymbolReport, checked_pictures

__all__ = ["Delivered", "PictureLink", "SymbolReport", "carry", "checked_pictures"]
