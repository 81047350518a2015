"""The page without others: nothing leaves the browser, no network is needed, several tabs; and browsers that cannot do it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fsrcnn import pretrained
from fsrcnn.upscaler import Upscaler
from support import saved
from tabs import PAGE, PNG, RGB, Host, Server, Tab, Visits, hosting, payload, plain

JPEG = saved([RGB], "JPEG")


def test_nothing_leaves_the_browser(visit: Visits, host: Host) -> None:
    """On a plain host: its own record, and the browser's."""
    sent: list[str] = []
    context = visit.context()
    context.on(
        "request",
        lambda request: sent.append(
            f"{request.method} {request.url}{' with a body' if request.post_data_buffer else ''}"
        ),
    )
    tab = visit.tab(context, host.address)
    kept(tab)
    loaded = len(host.asked)
    for model in ("fsrcnn", "auto", "strength"):
        tab.choose(model=model)
        tab.add((f"{model}.png", PNG))
        tab.done(f"{model}.png")
    tab.button("Copy command").hover()
    tab.downloaded(tab.button("Save all as zip"))
    addresses = [line.split()[1] for line in sent if not line.startswith("GET blob:")]
    assert all(address.startswith(host.address) for address in addresses), addresses
    assert [line for line in sent if not line.startswith("GET ") or "with a body" in line] == []
    assert [line for line in host.asked if not line.startswith("GET /tools/fsrcnn/")] == []
    later = {line.removeprefix("GET /tools/fsrcnn/").partition("/")[0] for line in host.asked[loaded:]}
    assert later <= {"engine", "files", "bicubic.js", "service_worker.js"}


def kept(tab: Tab) -> None:
    """Wait until the page has all it needs for times without a network."""
    paths = (path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file())
    files = [path for path in paths if path not in ("index.html", "service_worker.js", "engine/files.json")]
    assert len(files) > 60
    tab.until(
        """async (files) => {
             const held = new Set((await (await caches.open('fsrcnn')).keys()).map(({url}) => url));
             return navigator.serviceWorker.controller && files.every((name) => held.has(new URL(name, location.href).href));
           }""",
        files,
    )


FAMILIES = [*(model for model in pretrained.FAMILIES), "strength", "auto"]


def test_without_a_network(visit: Visits, tmp_path_factory: pytest.TempPathFactory, host: Host) -> None:
    """After the first load its host goes away; nothing was computed before. Also after a reload, and for another tab."""
    visit.expected += ["ERR_CONNECTION_REFUSED", "ERR_INTERNET_DISCONNECTED", "ERR_FAILED"]
    with hosting(tmp_path_factory.mktemp("nothing")) as leaving:
        context = visit.context()
        tab = visit.tab(context, leaving.address)
        kept(tab)
        leaving.end()
    context.set_offline(True)
    for number, model in enumerate(FAMILIES):
        tab.choose(model=model, factor=(2, 3, 4)[number % 3])
        tab.add((f"{model}.png", PNG))
        tab.done(f"{model}.png")
    tab.downloaded(tab.button("Save all as zip"))
    again = visit.tab(context, leaving.address)
    again.choose(format="webp", model="fsrcnn", factor=2)
    again.add(("again.jpg", JPEG))
    again.done("again.jpg")
    again.save("again.jpg")
    again.page.reload()
    again.open(leaving.address)
    again.add(("third.png", PNG))
    again.done("third.png")


def test_two_tabs_at_once(visit: Visits, host: Host) -> None:
    context = visit.context()
    models = ("fsrcnn", "fsrcnn-photo")
    pictures = {f"{n}.png": np.random.default_rng(n).integers(0, 256, (60, 50 + n, 3), np.uint8) for n in range(6)}
    tabs = {model: visit.tab(context, host.address) for model in models}
    for model, tab in tabs.items():
        tab.page.bring_to_front()
        tab.choose(model=model, factor=3)
        tab.add(*((name, saved([picture], "PNG")) for name, picture in pictures.items()))
    for model, tab in tabs.items():
        tab.page.bring_to_front()
        for name in pictures:
            tab.done(name)
        upscaler = Upscaler(model, scale=3, precision="fast")
        results = tab.save_all()
        for (name, picture), data in zip(pictures.items(), results.values(), strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), upscaler(picture), name)


# Where the browser cannot.


def test_a_browser_without_simd(visit: Visits, server: Server, engine: None) -> None:
    context = visit.context()
    context.add_init_script("WebAssembly.validate = () => false;")
    tab = visit.tab(context, server.address)
    said = tab.page.locator("#where-obstacle")
    assert (
        said.text_content()
        == "This browser has no WebAssembly with 128-bit SIMD: take Chrome or Edge from 91, Firefox from 89, or Safari from 16.4."
    )
    assert said.is_visible()
    assert tab.page.locator("input[value=browser]").is_disabled()
    assert tab.page.locator("input[name=where]:checked").input_value() == "server"
    tab.add(("a.png", PNG))
    tab.done("a.png")


def test_a_browser_without_simd_and_no_server(visit: Visits, host: Host) -> None:
    context = visit.context()
    context.add_init_script("WebAssembly.validate = () => false;")
    page = context.new_page()
    page.goto(host.address)
    sentence = (
        "This browser has no WebAssembly with 128-bit SIMD: take Chrome or Edge from 91, Firefox from 89, or Safari from 16.4. "
        "There is no server behind this page; the command fsrcnn serve starts one, with this page."
    )
    page.locator("#where-obstacle", has_text=sentence).wait_for()
    page.locator("#files").set_input_files([payload("a.png", PNG)])
    page.locator("[data-state=failed] .remark", has_text=sentence).wait_for()


def test_a_picture_too_large_for_the_tab(visit: Visits, server: Server, engine: None) -> None:
    tab = visit(server.address, "browser")
    tab.choose(factor=60)
    wide = {"wide.png": np.zeros((1500, 1500, 3), np.uint8), "grey.png": np.zeros((1500, 1500), np.uint8)}
    tab.add(*((name, saved([pixels], "PNG")) for name, pixels in wide.items()))
    for name in wide:
        assert tab.state(name) == "failed"
        assert (
            plain(tab.remark(name))
            == "a result of 90,000 × 90,000 pixels is too large for this tab: give a smaller size"
        )
    tab.choose(factor=2)
    tab.add(("next.png", PNG))
    tab.done("next.png")
    for name in wide:
        tab.row(name).get_by_role("button", name="Compute on this computer").click()
    for name in wide:  # the server has its own limit
        tab.row(name).locator(".remark", has_text="more than the limit of 536,870,912 pixels").wait_for()


def test_a_host_without_a_server_says_so(visit: Visits, host: Host) -> None:
    tab = visit(host.address)
    assert tab.page.locator("input[value=server]").is_disabled()
    assert tab.page.locator("input[name=where]:checked").input_value() == "browser"
    assert "There is no server behind this page" in str(tab.page.locator("#where-obstacle").text_content())
    assert tab.page.locator("#api").is_hidden()
