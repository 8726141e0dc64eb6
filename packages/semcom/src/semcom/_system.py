"""What the core finds through the entry points."""

from ninefold.systems import System

CARRIER = System(
    name="semcom-carrier",
    summary="bytes carried by the mask of a picture, over a channel whose every symbol is counted",
    demo="semcom.demo:demo",
    claims="semcom.claims:CLAIMS",
)
