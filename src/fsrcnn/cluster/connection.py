"""A connection to a Ray cluster: to one that runs, or to one that is started on this machine and ends with it.

Ray speaks on both standard streams, sends statistics, answers nobody for minutes and handles signals of its own accord. Here it does
none of that.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

from fsrcnn import files
from fsrcnn.errors import FsrcnnError, UsageError
from fsrcnn.parallel import available_threads
from fsrcnn.require import require

LOCAL, AUTO = "local", "auto"
ADDRESS = re.compile(r"(ray://)?(\[[0-9A-Fa-f:.]+\]|[^\[\]:/\s]+):(\d{1,5})")
ANSWERS = 10  # seconds in which whatever listens at an address has to say something
# Bytes of shared memory on this machine: names, outcomes and a network pass through it, never a picture. Ray takes no less than 75 MB.
OBJECT_STORE = 80 * 2**20
IS_IT_THERE = "`ray status` on its head says whether it runs"
# RAY_AUTH_TOKEN alone does nothing where an address is given.
TOKEN = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to what `ray get-auth-token` says on its head"
# What every client of a gRPC server, which Ray's is, sends first: RFC 9113, section 3.4, and an empty SETTINGS frame.
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected; and disconnected at the end, with nothing left of what was started here.

    A process that is connected already goes on with its connection, which stays.

    Args:
        address: `local`, `auto` or that of a cluster: `10.0.0.1:6379`, `ray://10.0.0.1:10001`.

    Yields:
        The module `ray`.

    Raises:
        UsageError: that is no address.
        MissingExtraError: Ray is not installed, or what it needs for `ray://`.
        FsrcnnError: no cluster is there, it does not answer, or it is of another version of Ray or Python.
    """
    check_address(address)
    with contextlib.ExitStack() as ending:
        ending.enter_context(_environment(address))
        ray = require("ray", "clusters", extra="cluster")
        if ray.is_initialized():
            yield ray
            return
        _probe(address)
        ending.enter_context(_silence(ray))
        ending.callback(ray.shutdown)
        with _signals_as_before(ray), _library_silenced():
            _join(ray, address, ending)
        yield ray


def check_address(address: str) -> None:
    """
    Raises:
        UsageError: that is no address.
    """
    if address not in (LOCAL, AUTO) and not ADDRESS.fullmatch(address):
        raise UsageError(
            f"a cluster is local, auto, or the address of its head as 10.0.0.1:6379 or ray://10.0.0.1:10001, not {address!r}"
        )


def _join(ray: Any, address: str, ending: contextlib.ExitStack) -> None:
    """
    Raises:
        FsrcnnError: as `connected`.
    """
    manners: dict[str, Any] = {
        "log_to_driver": False, "configure_logging": False, "logging_level": logging.CRITICAL
    }  # fmt: skip
    if address == LOCAL:
        folder = str(
            ending.enter_context(files.temporary_folder())
        )  # Ray would leave its own, and after a kill nobody else takes it
        ending.callback(ray.shutdown)  # before its folder goes
        manners |= {"num_cpus": available_threads(), "object_store_memory": OBJECT_STORE, "include_dashboard": False}
        if len(folder) < 40:  # the names of sockets, which end below it, have at most 107 characters
            manners["_temp_dir"] = folder
    try:
        ray.init(address, **manners)
    except (Exception, SystemExit) as error:
        raise _refusal(address, error) from error


def _refusal(address: str, error: BaseException) -> FsrcnnError:
    """What Ray's long texts mean."""
    said = " ".join(str(error).split())
    if address == AUTO and isinstance(error, ConnectionError):
        return FsrcnnError(
            "this machine belongs to no Ray cluster",
            "start one with `ray start --head`, or give {cluster='local'} or the address of one",
        )
    if address.startswith("ray://") and isinstance(error, ImportError):
        return FsrcnnError(
            f"{address} is an address of Ray's client, which is not installed", "type: pip install 'ray[client]'"
        )
    if type(error).__name__ == "AuthenticationError":
        return FsrcnnError(
            f"the Ray cluster at {address} asks for a token",
            TOKEN,
        )
    if "ersion mismatch" in said or ("ersion" in said and isinstance(error, RuntimeError)):
        return FsrcnnError(f"the Ray cluster at {address} is of another version: {said[:300]}")
    if "No node info found" in said:
        return FsrcnnError(
            f"this machine is none of the Ray cluster at {address}",
            f"type the command on one of them, join it with `ray start --address={address}`, or give its ray:// address",
        )
    if isinstance(error, ConnectionError):
        return FsrcnnError(
            f"no Ray cluster lets this machine in at {address}", f"{IS_IT_THERE}; where it asks for a token, {TOKEN}"
        )
    return FsrcnnError(f"cannot {'start' if address == LOCAL else 'join'} a Ray cluster ({address}): {said[:300]}")


def _probe(address: str) -> None:
    """Ask whether a server of Ray's kind listens at an address: Ray itself would try for two minutes.

    Raises:
        FsrcnnError: it does not.
    """
    asked = os.environ.get("RAY_ADDRESS", "") if address == AUTO else address
    found = ADDRESS.fullmatch(asked)
    if found is None:
        return
    if not _answers(found):
        raise FsrcnnError(f"no Ray cluster answers at {asked}", IS_IT_THERE)


def head_answers(ray: Any, address: str) -> bool:
    """Whether the head of the cluster is still there. Ray would wait for a minute, deaf to signals, and end the process."""
    found = None if address.startswith("ray://") else ADDRESS.fullmatch(ray.get_runtime_context().gcs_address)
    return found is None or _answers(found)


def _answers(address: re.Match[str]) -> bool:
    host, port = address[2].strip("[]"), int(address[3])
    try:
        with socket.create_connection((host, port), timeout=ANSWERS) as server:
            if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
                return True
            server.sendall(GREETING)
            return server.recv(9)[3:4] == b"\x04"  # a SETTINGS frame
    except (OSError, OverflowError, UnicodeError):
        return False


@cache
def _token() -> str:
    """The word by which processes of this run's own cluster know each other. Ray would write one into the home."""
    return secrets.token_hex(32)


@contextlib.contextmanager
def _environment(address: str) -> Iterator[None]:
    """What Ray asks the environment, in this process and those that it starts; what is set already is left."""
    wanted = {"RAY_USAGE_STATS_ENABLED": "0"}
    if address == LOCAL and ("ray" not in sys.modules or _token.cache_info().currsize):
        wanted |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _token()}
    touched = (*wanted, "RAY_AUTH_MODE")
    before = {name: os.environ[name] for name in touched if name in os.environ}
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    try:
        yield
    finally:
        for name in touched:
            os.environ.pop(name, None)
        os.environ.update(before)


@contextlib.contextmanager
def _silence(ray: Any) -> Iterator[None]:
    """Ray reports each death on standard output, which is for data; who has died is said in our own words."""
    logger, worker = logging.getLogger("ray"), ray._private.worker
    level, prints = logger.level, getattr(worker, "_worker_logs_enabled", True)
    logger.setLevel(logging.CRITICAL + 1)
    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        logger.setLevel(level)
        worker._worker_logs_enabled = prints


@contextlib.contextmanager
def _library_silenced() -> Iterator[None]:
    """Ray's library in C++ writes a line a second to standard error where it is turned away, before what it writes goes to a file."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def _signals_as_before(ray: Any) -> Iterator[None]:
    """Ray takes SIGTERM for itself, and ends the process by an exception of its own where one comes while it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, utils = signal.getsignal(signal.SIGTERM), ray._private.utils
    takes = getattr(utils, "set_sigterm_handler", None)
    if takes is not None:
        utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        if takes is not None:
            utils.set_sigterm_handler = takes
        signal.signal(signal.SIGTERM, before)
