"""An SSH server on a port of this machine, which runs what it is told by whoever has the key.

Its arguments are the port, and the files of its own key and of the keys that are let in.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from typing import Any

import asyncssh


async def handle(session: Any) -> None:
    """Run a command in a shell, and end it where the client goes before it."""
    shell = await asyncio.create_subprocess_shell(
        session.command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
    )
    await session.redirect(shell.stdin, shell.stdout, shell.stderr)
    ended, gone = asyncio.create_task(shell.wait()), asyncio.create_task(session.wait_closed())
    await asyncio.wait({ended, gone}, return_when=asyncio.FIRST_COMPLETED)
    if not ended.done():
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
    session.exit(await ended)


async def serve(port: str, host_key: str, authorized: str) -> None:
    """Serve for ever."""
    server = await asyncssh.listen(
        "127.0.0.1", int(port), server_host_keys=[host_key], authorized_client_keys=authorized, process_factory=handle
    )
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
