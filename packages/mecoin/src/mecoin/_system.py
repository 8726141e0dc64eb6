"""What the core finds through the entry point."""

from ninefold.systems import System

SYSTEM = System(
    name="mecoin",
    summary="new node classes for a graph model from five labels each, in a second, without forgetting",
    demo="mecoin.demo:demo",
    claims="mecoin_experiments.claims:CLAIMS",
    own="mecoin fit mine -o base.safetensors",
    seconds=15,
)
