"""What the core finds through the entry points."""

from ninefold.systems import System

CARRIER = System(
    name="semcom-carrier",
    summary="pictures and bytes over a noisy channel whose every symbol is counted, and the codecs to beat",
    demo="semcom.demo:demo",
    claims="semcom_experiments.claims:CLAIMS",
    own="semcom carrier send pictures --payload note.txt -o sent",
    seconds=15,
)

MM = System(
    name="semcom-mm",
    summary="pictures drawn from what a noisy link brings, and the one kept that fits image and text",
    demo="semcom.demo:mm_demo",
    claims="semcom_experiments.claims:MM_CLAIMS",
    own="semcom mm send pictures -o sent",
    seconds=20,
)
