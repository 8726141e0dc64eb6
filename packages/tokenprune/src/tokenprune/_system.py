"""What the core finds through the entry point."""

from ninefold.systems import System

SYSTEM = System(
    name="tokenprune",
    summary="many means at once, by James-Stein shrinkage (an example)",
    demo="tokenprune.demo:demo",
    claims="tokenprune.claims:CLAIMS",
)
