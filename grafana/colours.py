"""Every colour but the variants' own, which are in servers/variants.py. Red is for errors, and for nothing else."""

GOOD = "#2e9e5b"
FAINT = "rgba(46, 158, 91, 0.25)"  # good, where a whole wall of it would drown what is doubted
DOUBT = "#d9a514"
ERROR = "#d63c3c"
NEUTRAL = "#8e8e99"
KINDS = "#7b8fc7"  # the parts of a whole and the load's workers are drawn in shades of this
NONE = "transparent"


def shade(colour: str, lightness: float) -> str:
    """Return `colour` (#rrggbb) mixed with white: 0 is the colour itself, 1 is white."""
    channels = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(channel + (255 - channel) * lightness):02x}" for channel in channels)
