"""Events are values: nothing that a listener does to one is seen by the next listener."""

from dataclasses import FrozenInstanceError, fields

import pytest

from dnmf.events import Decided, Observed, PassDone, Planned, Sampled, Started, Stopped, StripDone

EVENTS = [
    Planned((4, 2), 32, 1, 32, 0, 2, 1, 160, 512, 10),
    StripDone(1, 1, 2),
    Sampled(4, 0.1, 32),
    Observed(7, 8, 0, 1, (), ("b",)),
    Decided("the short factor moves by exact columns"),
    Started(0.2, 0.3),
    PassDone(1, 0.5, 0.6, 0.1, 0.2, 0.3, 4, 0.2, 32, None),
    Stopped("reached max_iter = 1 passes"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_does_not_change(event):
    for field in fields(event):
        with pytest.raises(FrozenInstanceError):
            setattr(event, field.name, None)
    assert not hasattr(event, "__dict__")
