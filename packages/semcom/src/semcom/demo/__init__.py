"""The main jobs on the embedded default: bytes in masks (`_carrier`), and a choice among drawn pictures (`_mm`)."""

from semcom.demo._carrier import demo
from semcom.demo._mm import mm_demo

__all__ = ["demo", "mm_demo"]
