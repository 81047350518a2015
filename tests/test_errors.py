"""An error has a fact and a remedy, and every door spells the remedy in its own words."""

from __future__ import annotations

import copy
import pickle

import pytest

from fsrcnn.cli.options import as_option
from fsrcnn.errors import FsrcnnError, ImageError, UsageError


def test_doors() -> None:
    error = ImageError(
        "a.png exists", "give {overwrite=True} to replace it, {existing='skip'} to leave it, or another {output}"
    )
    assert (
        str(error) == "a.png exists; give overwrite=True to replace it, existing='skip' to leave it, or another output"
    )
    assert (
        error.sentence(as_option)
        == "a.png exists; give --overwrite to replace it, --skip-existing to leave it, or another --output"
    )

    def as_field(name: str, value: str | None) -> str:
        return f'"{name}"'

    assert error.sentence(as_field).startswith('a.png exists; give "overwrite" to replace it, "existing"')
    large = ImageError("bomb.png has 900 megapixels", "if you trust the file, raise it with {max_pixels=900000000}")
    assert large.sentence(as_option).endswith("raise it with --max-pixels 900000000")
    assert str(large).endswith("raise it with max_pixels=900000000")


def test_a_fact_alone_and_braces_in_names() -> None:
    assert str(FsrcnnError("no such thing as {scale}")) == "no such thing as {scale}"
    assert FsrcnnError("fact").about("a.png") == "a.png: fact"
    assert FsrcnnError("a.png is gone").about("a.png") == "a.png is gone"
    assert FsrcnnError("it is flat", "give {quality}").about("a.png", as_option) == "a.png: it is flat; give --quality"


@pytest.mark.parametrize("error", [FsrcnnError("fact", "give {format}"), UsageError("fact")])
def test_errors_travel_between_processes(error: FsrcnnError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(twin), twin.fact, twin.remedy, str(twin)) == (type(error), error.fact, error.remedy, str(error))
