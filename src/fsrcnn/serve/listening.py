"""The port, the connections, and the end of a server."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import re
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.files import explained
from fsrcnn.serve.application import application
from fsrcnn.serve.jobs import Jobs
from fsrcnn.serve.options import Limits
from fsrcnn.serve.prometheus import Counts
from fsrcnn.serve.storage import private_folder

PORTS_LOOKED_AT = 100  # for one to offer
SHORTEST_TOKEN = 16  # characters
# In ASCII, as it stands in Host: browsers send münchen.example as xn--mnchen-3ya.example.
NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?")
LONGEST_NAME = 254  # characters, a dot at the end included
LARGEST_HEAD = 2**15  # bytes of a request's line and headers
SLOWEST_HEAD = 20.0  # seconds until they must be there
MOST_CONNECTIONS = (
    500  # at a time; with the files of what is under way fewer than the 1,024 descriptors that a process mostly has
)
SLOWEST_ANSWER = 60.0  # seconds in which a client must take what is there for it, some 100 kB
SURPLUS = 30.0  # seconds for which a body is read on after its answer
MOST_SURPLUS = 2**28  # bytes of it
IDLE = 30  # seconds for which a connection is kept between two requests
LAST_WORDS = 10  # seconds for answers that are being sent when a server ends


@dataclass(frozen=True)
class Settings:
    """
    Attributes:
        host: a name or address of this machine to listen at.
        port: 0: any that is free.
        token: that clients must give.
        names: by which clients may call this server, beside addresses and `localhost`.
        threads: of the CPU, and so pictures at a time.
        engine: as of `Upscaler`.
        queue: pictures that may wait.
        keep: seconds for which results are kept.
        limits: of one picture.

    Raises:
        UsageError: a host or name by which others reach it without a token, a token that is too short or has other characters than
            ASCII's, a name that is none.
    """

    host: str
    port: int
    token: str | None
    names: tuple[str, ...]
    threads: int
    engine: str
    queue: int
    keep: float
    limits: Limits

    def __post_init__(self) -> None:
        if self.token is not None and not (
            len(self.token) >= SHORTEST_TOKEN
            and self.token.isascii()
            and self.token.isprintable()
            and " " not in self.token
        ):
            raise UsageError(f"has at least {SHORTEST_TOKEN} characters of ASCII without spaces", argument="token")
        for name in self.names:
            if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
                raise UsageError(f"is a host name alone, as photos.example.org, not {name!r}", argument="name")
        if self.token is None:
            wanted = "give a {token} that clients must know"
            if not _is_loopback(self.host):
                raise UsageError(f"{self.host} can be reached from other machines", wanted)
            for name in self.names:
                if not (_is_loopback(name) or name.endswith(".localhost")):
                    raise UsageError(f"{name} is a name for other machines", wanted)


def serve(
    settings: Settings,
    say: Callable[[str], None],
    until: Callable[[Callable[[], None]], contextlib.AbstractContextManager[None]],
    open_page: bool = False,
) -> None:
    """Serve until somebody asks for the end; then finish what runs.

    Args:
        say: called with what an owner wants to know.
        until: a context in which the function that it gets is called when the server is asked to end.
        open_page: show the page in this user's browser.

    Raises:
        UsageError: no such engine.
        FsrcnnError: the address is not one of this machine, or the port is in use; there is no place for files.
    """
    counts = Counts()
    with listening(settings.host, settings.port) as listener:
        host, port = listener.getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        try:
            with private_folder() as folder:
                jobs = Jobs(folder, settings.threads, settings.engine, settings.queue, settings.keep, counts)
                names = tuple(name.lower().rstrip(".") for name in (settings.host, *settings.names))
                app = application(jobs, settings.limits, counts, names, settings.token, f"fsrcnn-{port}")
                server = _Server(app, jobs, say)

                def begun() -> None:
                    say(f"serving at {address}{_for_others(settings, host, port)}; Ctrl-C ends it")
                    if open_page:
                        shown = address + (f"?token={settings.token}" if settings.token else "")
                        threading.Thread(target=webbrowser.open, args=(shown,), daemon=True).start()

                server.begun = begun
                with until(server.end):
                    server.run(sockets=[listener])
        except OSError as error:
            raise FsrcnnError(f"cannot store pictures: {explained(error)}") from error


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that clients can connect to.

    Raises:
        FsrcnnError: no such address here, the port is in use (which other is not, is said), or it may not be used.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise FsrcnnError(f"there is no host {host!r}: {getattr(error, 'strerror', None) or error}") from error
    family, address = found[0][0], found[0][4]
    try:
        listener = _bound(family, address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise FsrcnnError(f"cannot listen at port {port} of {host}: {explained(error)}") from error
        free = _free(family, address)
        raise FsrcnnError(
            f"port {port} of {host} is in use",
            f"give {{port={free}}}, which is free" if free else "give another {port}",
        ) from error
    with listener:
        yield listener


def _bound(family: int, address: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two servers have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # two sockets may be bound to one port until one listens
    except BaseException:
        listener.close()
        raise
    return listener


def _free(family: int, address: Any) -> int | None:
    """The next port that is free."""
    host, port, *more = address
    for other in range(port + 1, min(port + 1 + PORTS_LOOKED_AT, 2**16)):
        with contextlib.suppress(OSError):
            _bound(family, (host, other, *more)).close()
            return other
    return None


def _for_others(settings: Settings, host: str, port: int) -> str:
    """What they open, the token left out."""
    if _is_loopback(host):
        return ""
    unspecified = ipaddress.ip_address(host).is_unspecified
    shown = "ADDRESS-OF-THIS-MACHINE" if unspecified else f"[{host}]" if ":" in host else host
    return f", for others http://{(*settings.names, shown)[0]}:{port}/?token=TOKEN"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Server(uvicorn.Server):
    """uvicorn's, which ends when its work is done; signals are the command line's."""

    def __init__(self, app: Any, jobs: Jobs, say: Callable[[str], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app, http=_Connection, ws="none", loop="asyncio", lifespan="on", log_config=None, log_level=logging.ERROR,
                access_log=False, server_header=False, proxy_headers=False, timeout_keep_alive=IDLE,
                timeout_graceful_shutdown=LAST_WORDS, h11_max_incomplete_event_size=LARGEST_HEAD, limit_concurrency=MOST_CONNECTIONS,
            )
        )  # fmt: skip
        self.begun: Callable[[], None] = lambda: None
        self._jobs, self._say = jobs, say
        self._ending = False

    def end(self) -> None:
        """From a signal's handler: finish what runs, then end."""
        self._ending = True

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.begun()

    async def on_tick(self, counter: int) -> bool:
        if self._ending and not self._jobs.draining:
            self._jobs.drain()
            self._say("ending: what runs is finished first; ask again to end at once")
        return await super().on_tick(counter) or self._jobs.drained()


class _Connection(H11Protocol):
    """uvicorn's, whose patience has an end: with a head that does not come, with a body that goes on after its answer, and with a
    client that does not read."""

    _patience: asyncio.TimerHandle | None = None  # with a head
    _unread: asyncio.TimerHandle | None = None  # with a client that does not read
    _surplus = 0  # bytes that came after their answer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Transport(transport, self))  # type: ignore[arg-type]
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self.answered_early:
            self._surplus += len(data)
            if self._surplus > MOST_SURPLUS:
                self.transport.abort()
        if not self.transport.is_closing():
            super().data_received(data)
            self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.answered_early and not self.transport.is_closing():
            self.loop.call_later(SURPLUS, self._end_surplus, self.cycle)

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(LAST_WORDS / 2, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(SLOWEST_ANSWER, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._patience, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    @property
    def answered_early(self) -> bool:
        """A body is still coming that nobody reads any more."""
        return (
            self.cycle is not None
            and self.cycle.response_complete
            and self.conn.their_state in (h11.SEND_BODY, h11.ERROR)
        )

    def _end_surplus(self, cycle: object) -> None:
        if self.cycle is cycle and self.answered_early:
            self.transport.abort()

    def _wait(self) -> None:
        """Begin to count where a head is wanted, stop where it is there."""
        wanted = self.conn.their_state is h11.IDLE and (self.cycle is None or self.cycle.response_complete)
        if not wanted and self._patience is not None:
            self._patience.cancel()
            self._patience = None
        elif wanted and self._patience is None:
            self._patience = self.loop.call_later(SLOWEST_HEAD, self.timeout_keep_alive_handler)


class _Transport:
    """asyncio's, which closes in such a way that what was said arrives: the system would answer what a client still sends with a
    reset, of which many clients tell instead of the answer. So it says that nothing more comes, and reads on for a while."""

    def __init__(self, transport: asyncio.Transport, connection: _Connection) -> None:
        self._transport, self._connection, self._closing = transport, connection, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        self._closing = True
        if self._connection.answered_early:
            with contextlib.suppress(OSError):  # the client is gone
                self._transport.write_eof()
            self._transport.resume_reading()
            self._connection.loop.call_later(SURPLUS, self._transport.abort)
        else:
            self._transport.close()
            if (
                self._transport.get_write_buffer_size()
            ):  # it waits until all was sent, for a client that reads nothing for ever
                self._connection.loop.call_later(SLOWEST_ANSWER, self._transport.abort)
