"""Numbers as people read them."""

import math

LOSSES = {0.0: "the Itakura–Saito divergence", 1.0: "the Kullback–Leibler divergence", 2.0: "least squares"}


def percent(share: float) -> str:
    """A share.

    >>> percent(0.1234), percent(0.000012), percent(0.0), percent(float("nan"))
    ('12.3 %', '0.0012 %', '0 %', '–')
    """
    if math.isnan(share):
        return "–"
    hundred = 100 * float(share)
    if 0 < hundred < 1e-4:
        return "< 0.0001 %"
    return f"{hundred:.1f} %" if abs(hundred) >= 1 else f"{hundred:.2g} %"


def decimal(number: float) -> str:
    """A number between 0 and 1.

    >>> decimal(0.987), decimal(float("nan"))
    ('0.99', '–')
    """
    return "–" if math.isnan(number) else f"{number:.2f}"


def count(number: int) -> str:
    """A whole number.

    >>> count(16384).split()
    ['16', '384']
    """
    return f"{number:,}".replace(",", "\N{NO-BREAK SPACE}")


def size(nbytes: int) -> str:
    """Bytes.

    >>> size(2_100_000_000), size(512)
    ('2.1 GB', '512 bytes')
    """
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if nbytes >= unit:
            return f"{nbytes / unit:.3g} {name}"
    return f"{nbytes} bytes"


def components(rank: int) -> str:
    """So many components.

    >>> components(1), components(3)
    ('1 component', '3 components')
    """
    return f"{count(rank)} component{'s' if rank > 1 else ''}"


def loss_in_words(beta: float) -> str:
    """The name of the loss of a β.

    >>> loss_in_words(1.0), loss_in_words(1.5)
    ('the Kullback–Leibler divergence', 'the β-divergence with β = 1.5')
    """
    return LOSSES.get(beta, f"the β-divergence with β = {beta:g}")
