"""What the core finds through the entry point."""

from ninefold.systems import System

SYSTEM = System(
    name="mldgg",
    summary="many means at once, by James-Stein shrinkage (an example)",
    demo="mldgg.demo:demo",
    claims="mldgg.claims:CLAIMS",
)
