"""What the core finds through the entry point."""

from ninefold.systems import System

SYSTEM = System(
    name="fastocc",
    summary="many means at once, by James-Stein shrinkage (an example)",
    demo="fastocc.demo:demo",
    claims="fastocc.claims:CLAIMS",
)
