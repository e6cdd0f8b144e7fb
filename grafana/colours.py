"""
Every colour but the variants', which are in servers/variants.py. Red is for errors only.

Each has a contrast of 3:1 as a line on a panel of the dark and of the light theme; GOOD, WARNING, ERROR and NEUTRAL are
also grounds of white text, with 4.5:1 (WCAG 2.2, AA). Text has the theme's own colour: no colour has 4.5:1 in both.
"""

GOOD = "#217a45"
FAINT = "rgba(33, 122, 69, 0.25)"  # good, for large areas, where the full colour would hide a warning
WARNING = "#946200"
ERROR = "#c93030"
NEUTRAL = "#70707b"
KINDS = ["#2e889e", "#778a28", "#9a5fd0", "#288a77", "#a3765c", "#4d80cb", "#b24dcb", "#8a7728", "#3499b2", "#5f8f4f"]
"""For series that differ by something else than the variant: no variant's colour, no red, no amber."""
NONE = "transparent"


def reds(number: int) -> list[str]:
    """Return shades of red for `number` kinds of errors."""
    return [shade(ERROR, 0.35 * index / number) for index in range(number)]


def shade(colour: str, lightness: float) -> str:
    """Return `colour` (#rrggbb) mixed with white: 0 is the colour itself, 1 is white."""
    channels = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(channel + (255 - channel) * lightness):02x}" for channel in channels)
