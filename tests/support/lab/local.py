"""`make local` on other ports than the usual, which may be in use: python -m tests.support.lab.local PORT."""

import sys
from dataclasses import replace
from typing import Final

from loadtest.lab.local import Lab, main
from servers.variants import DEFAULT

PORTS: Final = 2 * len(DEFAULT) + 2


def lab(first: int) -> Lab:
    """Return the lab on `PORTS` ports from `first` on."""
    variants = tuple(
        replace(variant, port=first + 2 * place, metrics_port=first + 2 * place + 1)
        for place, variant in enumerate(DEFAULT)
    )
    return Lab(variants, web=first + PORTS - 2, load_metrics=first + PORTS - 1)


if __name__ == "__main__":
    sys.exit(main(lab(int(sys.argv[1]))))
