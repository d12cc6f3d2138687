"""Groups that are written only where there is none yet: of several processes that do so at a time, one succeeds.

On a path a file gets its name only if nothing has it; to a server the condition goes with the write.
"""

import time
from collections.abc import Mapping
from contextlib import suppress

import zarr
from zarr.abc.buffer import Buffer
from zarr.abc.store import Store
from zarr.errors import ContainsGroupError
from zarr.storage import LocalStore, WrapperStore

# Seconds after which, on a server that takes the condition and does not look at it, whoever wrote last has succeeded.
SETTLING = 0.2


class IfAbsent(WrapperStore[Store]):
    """A store in which keys that are there stay as they are."""

    async def set(self, key: str, value: Buffer) -> None:
        """Write a key, if it is not there."""
        await self.set_if_not_exists(key, value)


def create_if_absent(group: zarr.Group, path: str, attributes: Mapping[str, object]) -> None:
    """Create a group below another one, unless it is there. Whose it then is, its attributes tell. Writes."""
    with suppress(ContainsGroupError):
        zarr.create_group(IfAbsent(group.store), path=f"{group.path}/{path}".strip("/"), attributes=dict(attributes))
    if not isinstance(group.store, LocalStore):
        time.sleep(SETTLING)
