"""The routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Match, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fsrcnn import models, pretrained
from fsrcnn.errors import FsrcnnError
from fsrcnn.serve import description, prometheus, uploads
from fsrcnn.serve.guard import Guard
from fsrcnn.serve.jobs import Job, Jobs, report, result_of
from fsrcnn.serve.options import Limits
from fsrcnn.serve.problems import Problem, of_error

PAGE = Path(__file__).parent / "page"
LOOK = 0.2  # seconds between two looks at the progress of a job
ALIVE = 15.0  # seconds of silence after which a stream of events sends a remark, so that nobody in between closes it
RANGE_REFUSED = {
    400: "Range is of the kind bytes=0-99",
    416: "Range asks for bytes beyond the end of the file; Content-Range says how many there are",
}
LONGEST_HEADER = 4000  # bytes; clients and what stands in front take 8,000 for all


def application(
    jobs: Jobs, limits: Limits, counts: prometheus.Counts, names: Collection[str], token: str | None, cookie: str
) -> Guard:
    """The whole of it, for an ASGI server.

    Args:
        jobs, limits, counts: of this server.
        names, token, cookie: as of `Guard`.
    """
    routes = Routes(jobs, limits, counts)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(jobs.sweep())
        try:
            yield
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping
            await asyncio.to_thread(jobs.close)

    app = Starlette(
        routes=[
            Route("/v1/upscale", routes.upscale, methods=["POST"]),
            Route("/v1/jobs", routes.submit, methods=["POST"]),
            Route("/v1/jobs/{id}", routes.job, methods=["GET"]),
            Route("/v1/jobs/{id}", routes.put, methods=["PUT"]),
            Route("/v1/jobs/{id}", routes.delete, methods=["DELETE"]),
            Route("/v1/jobs/{id}/result", routes.result, methods=["GET"]),
            Route("/v1/jobs/{id}/events", routes.events, methods=["GET"]),
            Route("/v1/models", routes.models, methods=["GET"]),
            Route("/healthz", routes.health, methods=["GET"]),
            Route("/metrics", routes.metrics, methods=["GET"]),
            Route("/openapi.json", routes.openapi, methods=["GET"]),
            Route("/docs", routes.reference, methods=["GET"]),
            *page_routes(PAGE),
        ],
        exception_handlers={
            Problem: _problem,
            FsrcnnError: _refused,
            HTTPException: _http,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
        middleware=[Middleware(_Worded)],
        lifespan=lifespan,
    )
    return Guard(app, names, token, cookie, counts)


def page_routes(folder: Path) -> list[Route | Mount]:
    """The page's files as they lie there; where there are none, a page that says where the interface is."""
    if (folder / "index.html").exists():
        return [_Page("/", StaticFiles(directory=folder, html=True))]
    return [Route("/", _plain_page, methods=["GET"])]


class _Page(Mount):
    """Files at all addresses but those of the interface, whose own routes say what they do not take."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if scope["path"].startswith("/v1/") else super().matches(scope)


class _Worded:
    """Refusals that Starlette's files answer on their own, in text, as problems: those of Range."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal: Message | None = None

        async def worded(message: Message) -> None:
            nonlocal refusal
            if message["type"] == "http.response.start" and message["status"] in RANGE_REFUSED:
                kind = Headers(raw=message["headers"]).get("content-type", "")
                refusal = message if kind.startswith("text/plain") else None
            if refusal is None:
                await send(message)

        await self._app(scope, receive, worded)
        if refusal is not None:
            size = Headers(raw=refusal["headers"]).get("content-range")
            headers = {} if size is None else {"Content-Range": size}
            await Problem(refusal["status"], RANGE_REFUSED[refusal["status"]], headers).response()(scope, receive, send)


async def _plain_page(request: Request) -> Response:
    return HTMLResponse(description.plain_page(), headers=description.HEADERS)


class Routes:
    """What each address answers."""

    def __init__(self, jobs: Jobs, limits: Limits, counts: prometheus.Counts) -> None:
        self._jobs, self._limits, self._counts = jobs, limits, counts

    async def upscale(self, request: Request) -> Response:
        """A picture in, its larger one out; a client that goes away stops it."""
        as_json = wants_json(request)
        job = await self._received(request)
        job.held += 1
        try:
            await self._until_over(request, job)
            if as_json:
                result_of(job)  # raises what went wrong
                return JSONResponse(job.as_json(self._jobs.keep))
            return self._file(job, once=True)
        except BaseException:
            self._jobs.remove(job)
            raise
        finally:
            self._jobs.release(job)

    async def submit(self, request: Request) -> Response:
        """A picture in, the job out."""
        return self._accepted(await self._received(request))

    async def put(self, request: Request) -> Response:
        """A picture in, the job out, whose id its client has chosen, so that it can be deleted before this answer has come."""
        return self._accepted(await self._received(request, request.path_params["id"]))

    def _accepted(self, job: Job) -> Response:
        told = job.as_json(self._jobs.keep)
        return JSONResponse(told, 202, {"Location": told["links"]["self"]})

    async def job(self, request: Request) -> Response:
        return JSONResponse(self._found(request).as_json(self._jobs.keep))

    async def delete(self, request: Request) -> Response:
        self._jobs.remove(self._found(request))
        return Response(status_code=204)

    async def result(self, request: Request) -> Response:
        return self._file(self._found(request))

    async def events(self, request: Request) -> Response:
        """Server-sent events: `progress` with the job whenever it changed, and at the end one by the name of its state."""
        job = self._found(request)
        return StreamingResponse(
            () if request.method == "HEAD" else self._told(job),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def models(self, request: Request) -> Response:
        listed = [asdict(entry) for entry in pretrained.table().values()]
        told = {
            "default": models.AUTO, "families": list(pretrained.FAMILIES), "engine": self._jobs.engine,
            "precisions": list(self._jobs.precisions), "models": listed,
        }  # fmt: skip
        return JSONResponse(told)

    async def health(self, request: Request) -> Response:
        ending = self._jobs.draining
        return JSONResponse({"status": "ending" if ending else "ok"}, 503 if ending else 200)

    async def metrics(self, request: Request) -> Response:
        return Response(self._counts.text(), media_type=prometheus.MEDIA_TYPE)

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(description.openapi(self._limits, self._jobs.keep))

    async def reference(self, request: Request) -> Response:
        return HTMLResponse(
            description.page(description.openapi(self._limits, self._jobs.keep)), headers=description.HEADERS
        )

    def _found(self, request: Request) -> Job:
        return self._jobs.find(request.path_params["id"])

    async def _received(self, request: Request, id: str | None = None) -> Job:
        """A job whose picture is there, and which waits for its turn."""
        job = self._jobs.open(id)
        try:
            await self._jobs.upload(job, uploads.receive(request, job.upload, self._limits))
            self._jobs.start(job)
        except BaseException:
            self._jobs.remove(job)
            raise
        self._counts.count("fsrcnn_upload_bytes_total", "Bytes of pictures.", job.upload.stat().st_size)
        return job

    async def _until_over(self, request: Request, job: Job) -> None:
        """
        Raises:
            ClientDisconnect: nobody waits for it any longer.
        """
        gone = asyncio.create_task(_until_gone(request))
        over = asyncio.create_task(job.over.wait())
        try:
            await asyncio.wait({gone, over}, return_when=asyncio.FIRST_COMPLETED)
            if not job.over.is_set():
                raise ClientDisconnect
        finally:
            gone.cancel()
            over.cancel()

    def _file(self, job: Job, once: bool = False) -> Response:
        """Its result, which holds the job until it was sent; `once`: and removes it then."""
        result = result_of(job)
        job.held += 1
        jobs = self._jobs

        class Sending(FileResponse):
            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                job.fetched |= scope["method"] != "HEAD"
                try:
                    await super().__call__(scope, receive, send)
                finally:
                    if once:
                        jobs.remove(job)
                    jobs.release(job)

        return Sending(
            result.path, media_type=result.media_type, filename=result.name,
            headers={"Fsrcnn-Report": _header(report(result)), "Cache-Control": "no-store"},
        )  # fmt: skip

    async def _told(self, job: Job) -> AsyncIterator[str]:
        last, silent = "", 0.0
        while True:
            over = job.over.is_set()
            told = json.dumps(job.as_json(self._jobs.keep))
            if told != last or over:
                yield f"event: {job.state if over else 'progress'}\ndata: {told}\n\n"
                last, silent = told, 0.0
            elif silent > ALIVE:
                yield ": still here\n\n"
                silent = 0.0
            if over:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(job.over.wait(), LOOK)
            silent += LOOK


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def wants_json(request: Request) -> bool:
    """Whether Accept names JSON, and no kind of picture that it would rather have."""
    qualities: dict[str, float] = {}
    for part in request.headers.get("accept", "").split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        found = [piece[2:] for piece in parameters if piece.startswith("q=")]
        try:
            qualities[kind] = float(found[0]) if found else 1.0
        except ValueError:
            qualities[kind] = 0.0
    json_quality = qualities.get("application/json", 0.0)
    return json_quality > max(
        (quality for kind, quality in qualities.items() if kind.startswith("image/")), default=0.0
    )


def _header(told: dict[str, Any]) -> str:
    """JSON in ASCII. Where it is too long, notes are left out from the end, and how many is said."""
    notes, left_out = list(told["notes"]), 0
    text = json.dumps(told)
    while len(text) > LONGEST_HEADER and notes:
        notes.pop()
        left_out += 1
        text = json.dumps({**told, "notes": [*notes, f"and {left_out} more"]})
    return text


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, FsrcnnError)
    return of_error(error).response()


async def _http(request: Request, error: Exception) -> Response:
    """Starlette's own: 404, 405."""
    assert isinstance(error, HTTPException)
    said = {404: "there is nothing at this address; /docs lists what there is", 405: "this address has no such method"}
    return Problem(error.status_code, said.get(error.status_code, error.detail), dict(error.headers or {})).response()


async def _failed(request: Request, error: Exception) -> Response:
    """A bug: the server's log has the traceback."""
    return Problem(500, "this server failed; its log says how").response()


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody sees it; nginx counts it so
