"""What the core finds through the entry point."""

from ninefold.systems import System

SYSTEM = System(
    name="semcom",
    summary="many means at once, by James-Stein shrinkage (an example)",
    demo="semcom.demo:demo",
    claims="semcom.claims:CLAIMS",
)
