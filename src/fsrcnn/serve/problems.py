"""What goes wrong, as a status and one sentence: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

from fsrcnn.errors import FsrcnnError, UsageError, printable
from fsrcnn.files import explained
from fsrcnn.serve.options import as_field

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MEDIA_TYPE = "application/problem+json"


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818  (as RFC 9457 calls it)
    """
    Attributes:
        status: of HTTP.
        sentence: for whoever asked.
        headers: of the answer.
    """

    status: int
    sentence: str
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> JSONResponse:
        return JSONResponse(self.as_json(), self.status, self.headers, MEDIA_TYPE)

    def as_json(self) -> dict[str, Any]:
        """The body of the answer."""
        return {"title": HTTPStatus(self.status).phrase, "status": self.status, "detail": printable(self.sentence)}


def of_error(error: FsrcnnError, label: str | None = None) -> Problem:
    """400 for what was asked for, 422 for the picture, each with its sentence; `label` names the picture."""
    said = error.sentence(as_field) if label is None else error.about(label, as_field)
    return Problem(400 if isinstance(error, UsageError) else 422, said)


def of_storage(error: OSError) -> Problem:
    """507 where there is no room left for a file, 500 for what else the system says."""
    if error.errno in FULL:
        return Problem(507, "the disk of this server is full, and nothing of this picture was kept; try again later")
    return Problem(500, f"this server cannot store the picture: {explained(error)}")
