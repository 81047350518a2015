"""What lies at places, and in folders of objects: a page at a time, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from fsrcnn.errors import ImageError
from fsrcnn.folders import Kind
from fsrcnn.places.failures import code_of, patiently
from fsrcnn.places.remote import Remote
from fsrcnn.places.stores import AZURE, CONNECTIONS, FILE_SYSTEMS, GOOGLE, S3, opened

Page: TypeAlias = tuple[list[str], str]


def kind(remote: Remote, *, folders: bool = True) -> Kind:
    """What lies at a place: as `folders.kind`, without devices. A web address is not asked: it is a folder where it ends in a slash.

    In an object store, a folder is what the keys of some objects begin with; an object of the same name goes before it.

    Args:
        folders: whether folders are looked for, too, which takes a second request to an object store.

    Raises:
        ImageError: the store does not say.
        MissingExtraError: what it needs is not installed.
    """
    if remote.web:
        opened(remote)
        return "file" if remote.name else "folder"
    if remote.scheme in S3:
        return _kind_s3(remote, folders)

    def ask(_: int) -> Kind:
        fs, path = opened(remote)
        try:
            return "folder" if fs.info(path)["type"] == "directory" else "file"
        except FileNotFoundError:
            return "absent"

    return patiently(remote, "use", ask)


def kinds(remotes: Sequence[Remote], *, folders: bool = True) -> list[Kind | ImageError]:
    """`kind` of many places, asked at once over as many connections as a store is given.

    Args:
        folders: as of `kind`.

    Returns:
        In the order of the places, an error where the store does not say.

    Raises:
        MissingExtraError: what a store needs is not installed.
    """

    def ask(remote: Remote) -> Kind | ImageError:
        try:
            return kind(remote, folders=folders)
        except ImageError as error:
            return error

    if len(remotes) < 2 or any(remote.scheme in FILE_SYSTEMS for remote in remotes):  # each thread would log in there
        return [ask(remote) for remote in remotes]
    with ThreadPoolExecutor(min(CONNECTIONS, len(remotes)), "fsrcnn-kinds") as threads:
        return list(threads.map(ask, remotes))


def walk(folder: Remote, *, recursive: bool) -> Iterator[Remote]:
    """The objects in a folder, and with `recursive` in those below it, as the store lists them.

    Left out, as in folders of files: names and folders that begin with a dot (but for `.` and `..`, which are names like others in
    an object store), and the objects that stand for a folder, whose key ends in a slash. Links to folders are not followed.

    Of S3, Google's and Azure's stores, a page of 1,000 or 5,000 is held at a time; of others, one folder.

    Raises:
        ImageError: it cannot be listed.
        MissingExtraError: what it needs is not installed.
    """
    if folder.web:
        raise ImageError(f"cannot list {folder}: the web lists no folders", "give the addresses of its pictures")
    for key in _keys(folder, recursive) if folder.scheme in _PAGES else _paths(folder, recursive):
        if key and not key.endswith("/") and not any(_hidden(part) for part in key.split("/")):
            yield folder / key


def _hidden(name: str) -> bool:
    return name.startswith(".") and name not in (".", "..")


def _kind_s3(remote: Remote, folders: bool) -> Kind:
    bucket, key = remote.bucket_and_key()

    def ask(_: int) -> Kind:
        fs = opened(remote).fs
        if key:
            try:
                fs.call_s3("head_object", Bucket=bucket, Key=key)
            except Exception as error:
                status = code_of(error)[0]
                if status in (400, 403):  # which has no body, and so no reason; this one gives it
                    fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)
                if status != 404:
                    raise
            else:
                return "file"
            if not folders:
                return "absent"
        page = fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=f"{key}/" if key else "", MaxKeys=1)
        return "folder" if page.get("Contents") or not key else "absent"

    return patiently(remote, "use", ask)


def _keys(folder: Remote, recursive: bool) -> Iterator[str]:
    """The keys below a folder, page by page. The methods that fsspec has for all stores would hold all objects of a folder."""
    key = folder.bucket_and_key()[1]
    prefix, page_of = f"{key}/" if key else "", _PAGES[folder.scheme]
    token = ""
    while True:
        names, token = patiently(folder, "list", lambda _, token=token: page_of(folder, prefix, recursive, token))  # type: ignore[misc]
        for name in names:
            yield name[len(prefix) :]
        if not token:
            return


def _page_s3(folder: Remote, prefix: str, recursive: bool, token: str) -> Page:
    asked = {"Bucket": folder.bucket_and_key()[0], "Prefix": prefix}
    if not recursive:
        asked["Delimiter"] = "/"
    if token:
        asked["ContinuationToken"] = token
    page = opened(folder).fs.call_s3("list_objects_v2", **asked)
    return [entry["Key"] for entry in page.get("Contents", ())], page.get("NextContinuationToken", "")


def _page_google(folder: Remote, prefix: str, recursive: bool, token: str) -> Page:
    asked = {"prefix": prefix, "fields": "items(name),nextPageToken"}
    if not recursive:
        asked["delimiter"] = "/"
    if token:
        asked["pageToken"] = token
    page = opened(folder).fs.call("GET", "b/{}/o", folder.bucket_and_key()[0], json_out=True, **asked)
    return [entry["name"] for entry in page.get("items", ())], page.get("nextPageToken", "")


def _page_azure(folder: Remote, prefix: str, recursive: bool, token: str) -> Page:
    fs, path = opened(folder)
    container = path.partition("/")[0]  # without the account that `abfs://container@account…` has

    async def page() -> Page:
        client = fs.service_client.get_container_client(container)
        listed = client.list_blobs(prefix) if recursive else client.walk_blobs(prefix, delimiter="/")
        pages = listed.by_page(token or None)
        names = [blob.name async for blob in await anext(pages)]  # folders among them end in a slash
        return names, pages.continuation_token or ""

    from fsspec.asyn import sync

    found: Page = sync(fs.loop, page)
    return found


_PAGES: dict[str, Callable[[Remote, str, bool, str], Page]] = {
    **dict.fromkeys(S3, _page_s3),
    **dict.fromkeys(GOOGLE, _page_google),
    **dict.fromkeys(AZURE, _page_azure),
}
"""How a store gives the keys that begin with a prefix, after a page that ended with a token; and the token of this one."""


def _paths(folder: Remote, recursive: bool) -> Iterator[str]:
    """The paths of files below a folder, one folder after the other."""
    top = patiently(folder, "list", lambda _: opened(folder).path)  # which connects
    waiting = [top]
    while waiting:
        path = waiting.pop()
        for entry in patiently(folder, "list", lambda _, path=path: _entries(folder, path)):  # type: ignore[misc]
            inside = str(entry["name"]).rstrip("/")
            below = inside.removeprefix("/")[len(top.strip("/")) + 1 :]
            if not below or _hidden(below.rpartition("/")[2]):
                continue
            if entry["type"] == "directory":
                waiting += [inside] if recursive else []
            elif entry["type"] != "link" or not _leads_to_folder(folder, inside):
                yield below


def _leads_to_folder(folder: Remote, path: str) -> bool:
    """Of a link. One to nothing leads to none: that is said when its turn comes."""

    def ask(_: int) -> bool:
        try:
            return bool(opened(folder).fs.info(path)["type"] == "directory")
        except FileNotFoundError:
            return False

    return patiently(folder, "list", ask)


def _entries(folder: Remote, path: str) -> list[dict[str, Any]]:
    fs = opened(folder).fs
    found: list[dict[str, Any]] = fs.ls(path, detail=True)
    fs.invalidate_cache()  # where it keeps what it has listed, that would be all in the end
    return found
