"""Every colour but the variants', which are in servers/variants.py. Red is for errors only."""

GOOD = "#2e9e5b"
FAINT = "rgba(46, 158, 91, 0.25)"  # good, for large areas, where the full colour would hide a warning
WARNING = "#d9a514"
ERROR = "#d63c3c"
NEUTRAL = "#8e8e99"
KINDS = ("#56b4e9", "#b5bd4c", "#9b7ede", "#5fbfb0", "#a89f91", "#6d83b5", "#c2a5cf", "#879150", "#7fcdee", "#d8c9f0")
"""For series that differ by something else than the variant: no variant's colour, no red, no amber."""
NONE = "transparent"


def reds(number: int) -> list[str]:
    """Return shades of red for `number` kinds of errors."""
    return [shade(ERROR, 0.7 * index / number) for index in range(number)]


def shade(colour: str, lightness: float) -> str:
    """Return `colour` (#rrggbb) mixed with white: 0 is the colour itself, 1 is white."""
    channels = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(channel + (255 - channel) * lightness):02x}" for channel in channels)
