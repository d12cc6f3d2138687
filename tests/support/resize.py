"""Other sizes of strips and samples, for the length of a test: see the fixture `sizes`."""

from contextlib import ExitStack
from dataclasses import replace

from dnmf.plan.sizes import Sizes, current, using


class Resize:
    """Called with fields of `Sizes`, or with `strip` for the size of all strips: changes them until `stack` ends."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack

    def __call__(self, strip: int | None = None, **changes: int) -> None:
        sizes = current() if strip is None else Sizes.of_strips(strip, sample_rows=current().sample_rows)
        self.stack.enter_context(using(replace(sizes, **changes)))
