"""What the core finds through the entry point."""

from ninefold.systems import System

SYSTEM = System(
    name="fastocc",
    summary="from a vehicle's cameras to semantic voxels at about the cost of a bird's-eye view",
    demo="fastocc.demo:demo",
    claims="fastocc_experiments.claims:CLAIMS",
    own="fastocc train --root nuscenes -o run",
    seconds=25,
)
