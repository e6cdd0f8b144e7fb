"""Say of which pinned versions the support has ended, or soon will:  python -m tests.pins   (part of `make audit`)."""

import sys
from datetime import date

from tests.pins import support


def main(text: str, today: date) -> int:
    """Print what must be known of the pins today. Return the exit status: 1 if a support has ended, 2 if unreadable."""
    try:
        pins = support.read(text)
    except ValueError as error:
        sys.stderr.write(f"tcplab: {support.FILE.name}: {' '.join(str(error).split())}\n")
        return 2
    over, soon = support.ended(pins, today), support.ending(pins, today)
    for line in over:
        sys.stderr.write(f"tcplab: {line}\n")
    for line in soon:
        sys.stderr.write(f"tcplab: warning: {line}\n")
    if not over:
        dated = sum(pin.ends is not None for pin in pins)
        sys.stdout.write(
            f"tcplab: {len(pins)} versions are pinned; none of the {dated} with an end of support is past it\n"
        )
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main(support.FILE.read_text(encoding="utf-8"), date.today()))
