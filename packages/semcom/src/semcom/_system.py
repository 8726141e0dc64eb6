"""What the core finds through the entry points."""

from ninefold.systems import System

CARRIER = System(
    name="semcom-carrier",
    summary="bytes carried by the mask of a picture, over a channel whose every symbol is counted",
    demo="semcom.demo:demo",
    claims="semcom_experiments.claims:CLAIMS",
    own="semcom carrier send pictures --payload note.txt -o sent",
)

MM = System(
    name="semcom-mm",
    summary="pictures drawn from what a noisy link brings, and the one kept that fits image and text",
    demo="semcom.demo:mm_demo",
    claims="semcom_experiments.claims:MM_CLAIMS",
    own="semcom mm send pictures -o sent",
    seconds=25,
)
