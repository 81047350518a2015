"""Who may ask: in front of every route, before a body is read.

A page of another site can make a browser send requests to this server, and can, by DNS rebinding, make its own name lead here. So Host
must be a name that this server goes by, and where a browser says on whose behalf it asks (Origin, Sec-Fetch-Site), that must be this
server's own page.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fsrcnn.serve.problems import Problem
from fsrcnn.serve.prometheus import Counts

SAFE = ("GET", "HEAD", "OPTIONS")
OPEN = ("/healthz",)  # for whoever looks after the server
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; worker-src 'self' blob:; "
    "img-src 'self' blob: data:; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",  # the files of the page go together: none may be of an older version
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """The application behind it, `app`, sees only requests that may be answered."""

    def __init__(self, app: ASGIApp, names: Collection[str], token: str | None, cookie: str, counts: Counts) -> None:
        """
        Args:
            names: by which clients may call this server, beside addresses and `localhost`.
            token: that they must give; None: nobody needs one.
            cookie: the name of the one that the page gets instead of the token.
        """
        self.app, self._names, self._token, self._cookie, self._counts = app, names, token, cookie, counts
        self._session = secrets.token_urlsafe(32)  # what the cookie holds: no use after this process, nor elsewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                self._counts.count("fsrcnn_requests_total", "Answers, by their status.", status=message["status"])
            await send(message)

        headers = Headers(scope=scope)
        try:
            self._check_host(headers)
            self._check_origin(scope["method"], headers)
            query = parse_qs(scope["query_string"].decode("latin-1"))
            if self._token is not None and scope["method"] == "GET" and scope["path"] == "/" and "token" in query:
                self._check_token(query["token"][0])
                response = RedirectResponse("/", 303)
                response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict")
                await response(scope, receive, guarded)
                return
            if scope["path"] not in OPEN:
                self._authorise(headers)
        except Problem as problem:
            await problem.response()(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)

    def _check_host(self, headers: Headers) -> None:
        given = headers.get("host", "")
        if not is_ours(given, self._names):
            raise Problem(421, f"this server does not go by the name {given!r}")

    def _check_origin(self, method: str, headers: Headers) -> None:
        """
        Raises:
            Problem: a browser asks on behalf of another site's page.
        """
        origin = headers.get("origin")
        foreign = origin is not None and _netloc(origin) != headers.get("host", "").lower()
        site = headers.get("sec-fetch-site", "same-origin")
        if foreign or (method not in SAFE and site not in ("same-origin", "none")):
            raise Problem(403, f"a page of {origin or 'another site'} may not use this server")

    def _authorise(self, headers: Headers) -> None:
        if self._token is None or self._has_cookie(headers):
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        self._check_token(given.strip() if scheme.lower() == "bearer" else "")

    def _check_token(self, given: str) -> None:
        if not hmac.compare_digest(given.encode(), (self._token or "").encode()):
            raise Problem(
                401, "this server wants its token, as Authorization: Bearer TOKEN, or once as /?token=TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )  # fmt: skip

    def _has_cookie(self, headers: Headers) -> bool:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(morsel.value.encode(), self._session.encode())


def is_ours(host: str, names: Collection[str]) -> bool:
    """Whether a Host is an address, `localhost` or one of the names. An address cannot be rebound: no resolver is asked for it."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?", host)
    if not match:
        return False
    name = (match[1] or match[2]).lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost") or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _netloc(origin: str) -> str | None:
    """The host and port of an Origin; None for `null` and what is none."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") and parts.netloc else None
