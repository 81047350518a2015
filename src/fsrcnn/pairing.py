"""Which picture goes where, and under which name: what somebody asked for, before anybody looks what lies at the outputs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from fsrcnn import folders, formats, places
from fsrcnn.errors import FsrcnnError, ImageError, UsageError
from fsrcnn.folders import Found, Kind
from fsrcnn.jobs import SEPARATORS, STANDARD, Job, resolved
from fsrcnn.places import Place, Remote, place
from fsrcnn.size import Size, check_size, mark_of
from fsrcnn.upscaler import check_output, default_output

HEIF = (".heic", ".heif", ".hif")


def pairing_of(
    inputs: Sequence[str], output: str | None, size: Size, format: str | None, recursive: bool, lossless: bool
) -> Pairing:
    """What somebody asks for by the arguments of `planning.plan`.

    Raises:
        ImageError, UsageError: as `plan`, of what is known before any picture is looked for.
    """
    check_size(size)
    format = None if format is None else formats.check_format(format)
    if STANDARD in inputs and len(inputs) > 1:
        raise UsageError("standard input (-) is one picture and cannot be mixed with others")
    kinds = _kinds_of(inputs)
    several = len(inputs) > 1 or "folder" in kinds
    if output == STANDARD and several:
        raise UsageError("standard output (-) holds one picture", "give one input, or a folder as {output}")
    into = name = None
    if output is not None and output != STANDARD:
        if isinstance(where := place(output), Remote) and where.web:
            raise UsageError(f"cannot write {where}: the web is read only", "give another {output}")
        if _is_place(output, several):
            into = place(output)
        else:
            name = place(output)
    check_output(name, format, lossless)
    pairing = Pairing(tuple(inputs), kinds, into, name, size, format, recursive, several, to_pipe=output == STANDARD)
    for item, what in zip(inputs, kinds, strict=True):
        if what == "folder":
            pairing.roots[resolved(place(item))] = resolved(pairing.root(place(item)))
    return pairing


@dataclass(frozen=True)
class Pairing:
    """What somebody asked for, before any picture is looked for.

    Attributes:
        into: the folder that all outputs go to.
        name: that of the one output.
        several: whether there may be several outputs.
        kinds: what lies at each input, or why that is not known.
        roots: of each folder among the inputs, resolved, where its outputs go.
    """

    inputs: tuple[str, ...]
    kinds: tuple[Kind | FsrcnnError, ...]
    into: Place | None
    name: Place | None
    size: Size
    format: str | None
    recursive: bool
    several: bool
    to_pipe: bool
    roots: dict[Place, Place] = field(default_factory=dict)

    def jobs(self, number: int, listings: dict[Place, AnyListing]) -> Iterator[Job]:
        """The jobs of one input."""
        item, what = self.inputs[number], self.kinds[number]
        source = place(item)
        try:
            if isinstance(what, FsrcnnError):
                raise what
            if what == "absent":
                raise ImageError(f"{source} does not exist")
            if what == "folder":
                listings[source] = listing = self._listing(source)
                yield from self._of_folder(source, listing)
            elif what == "device":
                job = Job(None if item == STANDARD else source, self.name, self.format, named=self.name is not None)
                if self.several or self.into is not None:
                    raise UsageError(
                        f"{job.label} has no name to call its output by", "give it alone, with a file name as {output}"
                    )
                yield job  # to standard output where nobody says
            elif self.into is not None:
                yield self._job(source, self.into, (source.name,))
            elif self.name is None and not self.to_pipe:
                own = self.format or _own_format(source)
                yield Job(source, self._beside(source, own), self.format, guessed=self._guessed(source))
            else:
                yield Job(source, self.name, self.format, named=self.name is not None)
        except ImageError as error:
            yield Job(source, None, error=error.named(source))

    def pictures(self, number: int) -> Iterator[Place]:
        """The pictures of one input, to be counted.

        Raises:
            ImageError: a folder cannot be read, or holds none.
        """
        source = place(self.inputs[number])
        if self.kinds[number] != "folder":
            yield source
            return
        root = self.root(source)
        for picture in self._listing(source):
            if not _lies_in(picture, root):
                yield picture

    def covers(self, target: Place) -> bool:
        """Whether a resolved target would be listed as a picture of a folder among the inputs."""
        if target.suffix.lower() not in formats.LOOKED_FOR or not self.roots:
            return False
        folder, hidden, depth = target.parent, target.name.startswith("."), 0
        while not hidden:
            root = self.roots.get(folder)
            if root is not None and (self.recursive or not depth) and not _lies_in(target, root):
                return True
            if folder == folder.parent:
                break
            hidden, folder, depth = folder.name.startswith("."), folder.parent, depth + 1
        return False

    def root(self, folder: Place) -> Place:
        """Where the pictures of a folder go.

        Raises:
            UsageError: a bucket has no place beside it.
        """
        if self.into is not None:
            return self.into
        if isinstance(folder, Remote) and not folder.key:
            raise UsageError(f"there is no place beside {folder}", "give {output}")
        whole = resolved(folder)
        return whole.with_name(f"{whole.name}_{mark_of(self.size)}")

    def _listing(self, folder: Place) -> AnyListing:
        if isinstance(folder, Remote):
            return _Objects(folder, self.recursive)
        return folders.Listing(folder, recursive=self.recursive)

    def _of_folder(self, folder: Place, listing: AnyListing) -> Iterator[Job]:
        """
        Raises:
            ImageError: the folder cannot be listed, holds no pictures, or has all of them in the folder of its outputs.
        """
        root = self.root(folder)
        whole, outside = resolved(root), 0
        for picture in listing:
            if not _lies_in(resolved(picture), whole):
                outside += 1
                yield self._job(picture, root, _parts(picture, folder))
        if not outside:
            raise ImageError(f"{folder} holds no pictures outside of the output folder {root}")
        for closed in listing.found().closed:
            yield Job(closed, None, error=folders.unread(closed))

    def _job(self, source: Place, root: Place, parts: tuple[str, ...]) -> Job:
        """The job of a picture whose output goes into a folder, by the name that these parts make."""
        try:
            target = _below(root, parts)
        except ImageError as error:
            return Job(source, None, error=error.named(source))
        return Job(
            source,
            formats.with_ending(target, self.format or _own_format(source)),
            self.format,
            guessed=self._guessed(source),
        )

    def _beside(self, source: Place, format: str) -> Place:
        """
        Raises:
            UsageError: nothing is written to the web.
        """
        if isinstance(source, Path):
            return default_output(source, self.size, format)
        if source.web:
            raise UsageError(f"there is no place beside {source}: the web is read only", "give {output}")
        stem = source.name.removesuffix(source.suffix)
        return formats.with_ending(source.with_name(f"{stem}_{mark_of(self.size)}{source.suffix}"), format)

    def _guessed(self, source: Place) -> bool:
        return self.format is None and isinstance(source, Remote)


class _Objects:
    """As `folders.Listing`, of a place that fsspec knows."""

    def __init__(self, folder: Remote, recursive: bool) -> None:
        self.folder, self.recursive = folder, recursive
        self.count = self.others = 0

    def __iter__(self) -> Iterator[Remote]:
        """
        Raises:
            ImageError: it cannot be listed, or, at its end, it held no picture.
        """
        for remote in places.walk(self.folder, recursive=self.recursive):
            if remote.suffix.lower() in formats.LOOKED_FOR:
                self.count += 1
                yield remote
            else:
                self.others += 1
        if not self.count:
            remedy = "" if self.recursive else "give {recursive=True} to look into its folders"
            raise ImageError(f"{self.folder} holds no pictures ({formats.endings_read()})", remedy)

    def found(self) -> Found:
        """What is known so far, without the pictures."""
        return Found((), self.others)


AnyListing: TypeAlias = folders.Listing | _Objects


def _is_place(output: str, several: bool) -> bool:
    """Whether the output is a folder to write into, not the name of the one result.

    Raises:
        UsageError: it must be a folder and is none.
        ImageError: the system does not say what lies there.
    """
    path, slashed = place(output), output.endswith(SEPARATORS)
    if isinstance(path, Remote):
        # A store may have an object and a folder of the same name, and has a folder as soon as something is put there.
        what: Kind = "folder" if slashed else "absent" if several else places.kind(path)
    else:
        what = folders.kind(path)
    if not (several or slashed or what == "folder"):
        return False
    if what in ("file", "device"):
        raise UsageError(f"{path} is no folder, and {'several outputs need' if several else 'its slash asks for'} one")
    if what == "absent" and not slashed and path.suffix.lower() in formats.LOOKED_FOR:
        stem = path.name.removesuffix(path.suffix)
        raise UsageError(
            f"{path} is the name of one picture, and there are several", f"give a folder as {{output}}: {stem}/"
        )
    return True


def _kinds_of(inputs: Sequence[str]) -> tuple[Kind | FsrcnnError, ...]:
    """What lies at each input; of one that cannot be asked, why, which is said when its turn comes."""
    remote = [where for item in inputs if isinstance(where := place(item), Remote) and not item.endswith("/")]
    asked = iter(places.kinds(remote) if remote else [])
    kinds: list[Kind | FsrcnnError] = []
    for item in inputs:
        where = place(item)
        if isinstance(where, Remote):
            kinds.append("folder" if item.endswith("/") else next(asked))
            continue
        try:
            kinds.append("device" if item == STANDARD else folders.kind(where))
        except ImageError as error:
            kinds.append(error)
    return tuple(kinds)


def _parts(picture: Place, folder: Place) -> tuple[str, ...]:
    """The names on the way from a folder to a picture in it."""
    if isinstance(picture, Remote):
        assert isinstance(folder, Remote)
        return tuple(picture.below(folder).split("/"))
    return picture.relative_to(str(folder)).parts


def _below(root: Place, parts: tuple[str, ...]) -> Place:
    """
    Raises:
        ImageError: a part of a key is no name of a file, or a file's name no text: never a file outside of the folder.
    """
    if isinstance(root, Remote):
        key = "/".join(parts)
        if key != key.encode("utf-8", "replace").decode():
            raise ImageError("its name is no text, which the key of an object is")
        return root / key
    for part in parts:
        wrong = part in ("", ".", "..") or "\0" in part or os.sep in part or bool(os.altsep and os.altsep in part)
        if wrong or (os.name == "nt" and any(character in part for character in '<>:"|?*')):
            raise ImageError(f"a file cannot be called as its key, for the part {part!r} of it")
    return root.joinpath(*parts)


def _own_format(source: Place) -> str:
    """What a picture is written as if nobody says, by its content; by its ending where that is not or cannot be read."""
    format = None
    if isinstance(source, Path):
        try:
            with source.open("rb") as file:
                format = formats.of_content(file.read(formats.START))
        except OSError:
            format = None
    ending = source.suffix.lower()
    if isinstance(source, Remote) and ending in HEIF:
        return "avif"
    named = (row.name for row in formats.FORMATS.values() if ending in row.endings)
    return format or next(named, "png")


def _lies_in(picture: Place, root: Place) -> bool:
    """Whether one name begins with the other."""
    if isinstance(picture, Remote) or isinstance(root, Remote):
        return isinstance(picture, Remote) and isinstance(root, Remote) and picture.url.startswith(f"{root.url}/")
    return picture.is_relative_to(root)
