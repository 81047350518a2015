"""An SFTP server on this machine: asyncssh's, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@contextlib.contextmanager
def sftp_server(folder: Path) -> Iterator[str]:
    """Serve a folder as `/` to anybody who says the password; its address, as `sftp://me:secret@127.0.0.1:1234`."""
    asyncssh = pytest.importorskip("asyncssh", reason="asyncssh is not installed; type: pip install asyncssh")
    pytest.importorskip("paramiko", reason="paramiko is not installed; type: pip install paramiko")

    connections: list[Any] = []

    class Server(asyncssh.SSHServer):  # type: ignore[misc, name-defined]
        def connection_made(self, conn: Any) -> None:
            connections.append(conn)

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return password == "secret"

    def files(channel: Any) -> Any:
        return asyncssh.SFTPServer(channel, chroot=str(folder).encode())

    async def serve() -> Any:
        key = asyncssh.generate_private_key("ssh-ed25519")
        return await asyncssh.listen("127.0.0.1", 0, server_factory=Server, server_host_keys=[key], sftp_factory=files)

    async def stop() -> None:
        server.close()
        for connection in connections:
            connection.abort()
            await connection.wait_closed()
        await server.wait_closed()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(30)
    try:
        yield f"sftp://me:secret@127.0.0.1:{server.get_port()}"
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
