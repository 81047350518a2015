"""The interface as OpenAPI 3.1, and as a page to read, which loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Any

from fsrcnn import __version__, formats
from fsrcnn.serve.jobs import MEDIA_TYPES
from fsrcnn.serve.options import FIELDS, Limits
from fsrcnn.serve.problems import MEDIA_TYPE

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; font-size: 1.1rem; } h2 code { font-size: 1.1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8886; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8886; }
"""
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {"Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'"}
PROBLEMS = {
    400: "What was asked for cannot be: an unknown field, a wrong value, a broken form.",
    401: "The token is missing or wrong.",
    403: "A browser asks on behalf of another site's page.",
    404: "There is no such job (any more).",
    408: "The body came too slowly.",
    409: "The job is not done; one of this id is there; or it was deleted while its picture came.",
    413: "The body is too long.",
    415: "A part of the form is encoded in a way that nobody uses.",
    416: "Range asks for bytes that the result does not have.",
    421: "Host is no name of this server.",
    422: "The picture cannot be read, is too large, or cannot be written as asked for.",
    503: "Too many pictures wait, or the server is about to end; Retry-After says in how many seconds to try again.",
    507: "The server's disk is full.",
}
ALWAYS = (401, 403, 421)
OF_PICTURES = (400, 408, 413, 415, 422, 503, 507)


def openapi(limits: Limits, keep: float) -> dict[str, Any]:
    """
    Args:
        limits: of this server.
        keep: seconds for which finished jobs are kept.
    """
    body = (
        f"A form with one file and any of the fields, or the bytes of the picture alone. At most {limits.bytes:,} bytes, "
        f"{limits.pixels:,} pixels, {limits.output_pixels:,} pixels of the result."
    )
    picture: dict[str, Any] = {media: {} for media in MEDIA_TYPES.values()}
    job = {"application/json": {"schema": {"$ref": "#/components/schemas/Job"}}}
    id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "description": "The job."}
    fields = [
        {"name": name, "in": "query", "schema": field.schema, "description": field.help}
        for name, field in FIELDS.items()
    ]
    form = {
        "type": "object",
        "required": ["picture"],
        "properties": {
            "picture": {"type": "string", "contentMediaType": "application/octet-stream", "description": "The file."},
            **{name: {**field.schema, "description": field.help} for name, field in FIELDS.items()},
        },
    }
    content = {
        "multipart/form-data": {"schema": form},
        **picture,
        "image/bmp": {},
        "application/octet-stream": {},
    }
    sent = {"parameters": fields, "requestBody": {"required": True, "description": body, "content": content}}
    noted = {
        "Fsrcnn-Report": {"schema": {"type": "string"}, "description": "What was done and what was lost, as JSON."}
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fsrcnn",
            "version": __version__,
            "description": f"Pictures made larger. Read are {formats.endings_read()}. A result has the bytes that "
            "`fsrcnn upscale` writes with the same options.",
        },
        "paths": {
            "/v1/upscale": {
                "post": {
                    "summary": "Upscale a picture",
                    "description": "The answer is the larger picture; with `Accept: application/json` a job that is done. "
                    "A client that goes away stops it.",
                    **sent,
                    "responses": _responses(
                        {200: {"description": "The larger picture.", "headers": noted, "content": {**picture, **job}}},
                        OF_PICTURES,
                    ),
                }
            },
            "/v1/jobs": {
                "post": {
                    "summary": "Upscale a picture that takes long",
                    "description": f"The answer is a job; when it is done, its result is kept for {keep:g} seconds.",
                    **sent,
                    "responses": _responses({202: {"description": "The job.", "content": job}}, OF_PICTURES),
                }
            },
            "/v1/jobs/{id}": {
                "parameters": [id],
                "get": {
                    "summary": "How far a job is",
                    "responses": _responses({200: {"description": "The job.", "content": job}}, (404,)),
                },
                "put": {
                    "summary": "Upscale a picture that takes long, as a job whose id you choose",
                    "description": "22 to 64 letters, digits, - and _, at random. As POST to `/v1/jobs`, for clients "
                    "that want to stop a job before they have the answer.",
                    **sent,
                    "responses": _responses({202: {"description": "The job.", "content": job}}, (*OF_PICTURES, 409)),
                },
                "delete": {
                    "summary": "Stop a job, and delete its files",
                    "responses": _responses({204: {"description": "It is gone."}}, (404,)),
                },
            },
            "/v1/jobs/{id}/result": {
                "parameters": [id],
                "get": {
                    "summary": "The larger picture of a job",
                    "responses": _responses(
                        {200: {"description": "The larger picture.", "headers": noted, "content": picture}},
                        (400, 404, 409, 416, 422, 503, 507),
                    ),
                },
            },
            "/v1/jobs/{id}/events": {
                "parameters": [id],
                "get": {
                    "summary": "The progress of a job, as server-sent events",
                    "description": "`progress` whenever something changed, at the end `done`, `failed` or `cancelled`; "
                    "the data of each is the job.",
                    "responses": _responses(
                        {200: {"description": "Events.", "content": {"text/event-stream": {}}}}, (404,)
                    ),
                },
            },
            "/v1/models": {
                "get": _simple(
                    "The models and what they score, the engine, its precisions",
                    "application/json",
                )
            },
            "/healthz": {
                "get": {
                    "summary": "Whether the server takes work; needs no token",
                    "responses": {
                        "200": {"description": "It does."},
                        "503": {"description": "It is about to end."},
                    },
                }
            },
            "/metrics": {"get": _simple("Counts, for Prometheus", "text/plain")},
            "/openapi.json": {"get": _simple("This description", "application/json")},
            "/docs": {"get": _simple("This description as a page", "text/html")},
        },
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Where the server has one."}
            },
            "schemas": {"Job": JOB, "Problem": PROBLEM},
        },
        "security": [{}, {"token": []}],
    }


SIZE = {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "integer"}], "description": "Width and height."}
REPORT = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "media_type": {"type": "string"},
        "bytes": {"type": "integer"},
        "input_size": SIZE,
        "output_size": SIZE,
        "read_seconds": {"type": "number"},
        "upscale_seconds": {"type": "number"},
        "write_seconds": {"type": "number"},
        "notes": {"type": "array", "items": {"type": "string"}, "description": "What could not be taken along."},
        "model": {"type": ["string", "null"]},
        "reason": {"type": ["string", "null"], "description": "Why this model."},
        "measured": {"type": ["object", "null"]},
    },
}
PROBLEM = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"}},
}
JOB = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "state": {"type": "string", "enum": ["uploading", "waiting", "running", "done", "failed", "cancelled"]},
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "created": {"type": "string", "format": "date-time"},
        "expires": {"type": "string", "format": "date-time"},
        "links": {"type": "object", "properties": {name: {"type": "string"} for name in ("self", "events", "result")}},
        "result": REPORT,
        "problem": {"$ref": "#/components/schemas/Problem"},
    },
}


def _responses(good: dict[int, Any], problems: tuple[int, ...]) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    bad = {status: {"description": PROBLEMS[status], "content": content} for status in (*problems, *ALWAYS)}
    return {str(status): told for status, told in sorted({**good, **bad}.items())}


def _simple(summary: str, media_type: str) -> dict[str, Any]:
    good = {200: {"description": "It.", "content": {media_type: {}}}}
    return {"summary": summary, "responses": _responses(good, ())}


def page(api: dict[str, Any]) -> str:
    """A description in OpenAPI, as far as this module uses it, as HTML."""
    parts = [f"<p>{_marked(api['info']['description'])} Also as <a href='/openapi.json'>OpenAPI</a>.</p>"]
    parts.append(
        "<pre>curl -F picture=@photo.jpg -F scale=3 -OJ ADDRESS/v1/upscale\n"
        "curl -F picture=@photo.jpg -F fit=3840x2160 -F format=webp -OJ ADDRESS/v1/upscale</pre>"
    )
    for path, methods in api["paths"].items():
        for method in ("get", "post", "put", "delete"):
            if method in methods:
                parts += [f"<h2><code>{method.upper()} {escape(path)}</code></h2>", *_operation(methods[method])]
    return _html("fsrcnn: the interface", "".join(parts))


def _operation(told: dict[str, Any]) -> list[str]:
    parts = [f"<p>{_marked(told['summary'])}. {_marked(told.get('description', ''))}</p>"]
    if "requestBody" in told:
        parts.append(f"<p>{_marked(told['requestBody']['description'])}</p>")
        rows = ((row["name"], row["description"]) for row in told["parameters"])
        parts.append(_table("field", rows))
    parts.append(_table("status", ((status, row["description"]) for status, row in told["responses"].items())))
    return parts


def _table(title: str, rows: Any) -> str:
    lines = "".join(f"<tr><td><code>{escape(name)}</code><td>{_marked(text)}" for name, text in rows)
    return f"<table><tr><th>{title}<th>{lines}</table>"


def _marked(text: str) -> str:
    """`code` as such."""
    pieces = escape(text, quote=False).split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))


def plain_page() -> str:
    """What stands at / where the package was built without its page."""
    return _html(
        "fsrcnn",
        "<p>This server makes pictures larger. Its page is not part of this installation; "
        "<a href='/docs'>the interface</a> is there.</p>",
    )


def _html(title: str, body: str) -> str:
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><style>{STYLE}</style><main><h1>{title}</h1>{body}</main></html>"
    )
