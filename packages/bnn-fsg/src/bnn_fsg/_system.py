"""What the core finds through the entry point."""

from ninefold.systems import System

SYSTEM = System(
    name="bnn-fsg",
    summary="many means at once, by James-Stein shrinkage (an example)",
    demo="bnn_fsg.demo:demo",
    claims="bnn_fsg.claims:CLAIMS",
)
