"""What the core finds through the entry point."""

from ninefold.systems import System

SYSTEM = System(
    name="mldgg",
    summary="adapts a node classifier to a graph never seen, from a few labels or none",
    demo="mldgg.demo:demo",
    claims="mldgg_experiments.claims:CLAIMS",
    own="mldgg fit mine --leave-out new -o run",
    seconds=20,
)
