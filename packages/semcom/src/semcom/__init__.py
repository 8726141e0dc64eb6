"""Bytes carried by the mask of a picture. Names are resolved on first use, so importing this is light."""
