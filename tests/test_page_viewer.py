"""Before and after, as the canvas shows them: divided by a line or side by side, at every zoom, by mouse, touch and keyboard."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsrcnn.arrays import Array
from fsrcnn.imresize import imresize
from support import saved
from tabs import PNG, RGB, Server, Tab, Visits

LARGE = np.kron(np.random.default_rng(3).integers(0, 256, (75, 80, 3)), np.ones((8, 8, 1))).astype(np.uint8)


@pytest.fixture
def tab(visit: Visits, server: Server) -> Tab:
    return opened(visit(server.address, "server"))


@pytest.fixture
def large(visit: Visits, server: Server) -> Tab:
    return opened(visit(server.address, "server"), LARGE)


def opened(tab: Tab, picture: Array = RGB, factor: float = 2) -> Tab:
    """With a picture in the viewer, its bicubic side drawn as finely as it is shown."""
    tab.choose(factor=factor)
    tab.page.locator("#options summary").click()
    tab.add(("picture.png", saved([picture], "PNG")))
    tab.done("picture.png")
    tab.page.locator("#stage[data-empty=false]").wait_for()
    return tab


def result(tab: Tab) -> Array:
    return np.asarray(Image.open(io.BytesIO(tab.save("picture.png")[1])).convert("RGB"))


def bicubic(picture: Array, shape: tuple[int, ...]) -> Array:
    """As MATLAB has it."""
    return imresize(picture, output_size=(shape[0], shape[1]))


def zoom(tab: Tab, name: str) -> None:
    tab.button(name).click()


def view(tab: Tab, scale: int = 1) -> tuple[Array, int, int]:
    """The picture as it is drawn, one pixel for `scale`×`scale` of the screen, and where its first pixel's lies on the canvas."""
    canvas = tab.canvas()
    rows, columns = (np.flatnonzero(canvas[:, :, 3].any(axis)) for axis in (1, 0))
    drawn = canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, :3]
    small = drawn[::scale, ::scale]
    np.testing.assert_array_equal(
        np.kron(small, np.ones((scale, scale, 1), np.uint8)), drawn
    )  # each is a square of one colour
    return small, columns[0], rows[0]


def settled(tab: Tab, check: Any) -> None:
    """Wait for the worker that makes the bicubic side: until a check holds, or for good."""
    for _ in range(40):
        try:
            check()
        except AssertionError:
            tab.page.wait_for_timeout(50)
        else:
            return
    check()


def divided_at(view: Array, before: Array, after: Array) -> int:
    """The column of a picture from which on it shows its result, and before which its bicubic one."""
    width = view.shape[1]
    is_after = (view == after).all((0, 2))
    is_before = abs(view.astype(int) - before).max((0, 2)) <= 1
    (found,) = {n for n in range(width + 1) if is_before[:n].all() and is_after[n:].all()} or {-1}
    assert found >= 0, f"before in {is_before.sum()} columns, after in {is_after.sum()} of {width}"
    return found


def line(tab: Tab) -> float:
    """Where the divider stands on the screen."""
    box = tab.page.locator("#divider-line").bounding_box()
    assert box
    return box["x"]


def stage(tab: Tab) -> dict[str, Any]:
    tab.page.locator("#stage").scroll_into_view_if_needed()
    box = tab.page.locator("#stage").bounding_box()
    assert box
    return {**box}


def drag(tab: Tab, begin: tuple[float, float], end: tuple[float, float]) -> None:
    mouse = tab.page.mouse
    mouse.move(*begin)
    mouse.down()
    for part in (0.3, 0.6, 1):
        mouse.move(begin[0] + part * (end[0] - begin[0]), begin[1] + part * (end[1] - begin[1]))
    mouse.up()


# The divider.


def test_a_drag_of_the_divider_divides_before_from_after(tab: Tab) -> None:
    after = result(tab)
    before = bicubic(RGB, after.shape)
    zoom(tab, "1:1")
    columns = []
    box = stage(tab)
    middle = box["y"] + box["height"] / 2
    for part in (0.5, 0.25, 0.8):
        drag(tab, (line(tab), middle), (box["x"] + box["width"] / 2 + (part - 0.5) * after.shape[1], middle))

        def check() -> None:
            shown, left, _ = view(tab)
            assert shown.shape == after.shape
            columns.append(divided_at(shown, before, after))
            assert abs(line(tab) - box["x"] - left - columns[-1]) <= 1  # the line stands where the sides meet

        settled(tab, check)
        assert abs(columns[-1] - part * after.shape[1]) <= 2


def test_a_press_takes_the_divider_there(tab: Tab) -> None:
    """Where the whole picture is seen, anywhere."""
    box = stage(tab)
    tab.page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 20)
    tab.page.mouse.down()
    tab.canvas()
    assert line(tab) == pytest.approx(box["x"] + 0.6 * box["width"], abs=3)
    tab.page.mouse.up()


def test_a_drag_beyond_the_ends(tab: Tab) -> None:
    after = result(tab)
    before = bicubic(RGB, after.shape)
    zoom(tab, "1:1")
    box = stage(tab)
    middle = box["y"] + box["height"] / 2
    drag(tab, (line(tab), middle), (box["x"] - 50, middle))
    np.testing.assert_array_equal(view(tab)[0], after)
    drag(tab, (line(tab), middle), (box["x"] + box["width"] + 50, middle))
    settled(tab, lambda: np.testing.assert_allclose(view(tab)[0].astype(int), before, atol=1))


@pytest.mark.parametrize(
    ("factor", "picture"), [(1.5, RGB[:37, :51]), (3, RGB[:, :, :1].repeat(3, 2)), (4, RGB[:5, :7]), (1.01, RGB)]
)
def test_before_is_matlabs_bicubic(visit: Visits, server: Server, factor: float, picture: Array) -> None:
    tab = opened(visit(server.address, "server"), picture, factor)
    after = result(tab)
    before = bicubic(picture, after.shape)
    zoom(tab, "1:1")
    tab.page.locator("#divider").press("End")
    settled(tab, lambda: np.testing.assert_allclose(view(tab)[0].astype(int), before, atol=1))


def test_before_as_original_pixels(tab: Tab) -> None:
    after = result(tab)
    zoom(tab, "1:1")
    tab.page.locator("#before-kind").select_option("original")
    tab.page.locator("#divider").press("End")
    np.testing.assert_array_equal(view(tab)[0], np.kron(RGB, np.ones((2, 2, 1), np.uint8)))
    tab.page.locator("#divider").press("Home")
    np.testing.assert_array_equal(view(tab)[0], after)


def test_transparency_shows_the_ground(visit: Visits, server: Server) -> None:
    alpha = np.zeros((40, 48, 1), np.uint8)
    alpha[:, 24:] = 255
    tab = opened(visit(server.address, "server"), np.concatenate([RGB, alpha], 2))
    zoom(tab, "1:1")
    for key in ("Home", "End"):
        tab.page.locator("#divider").press(key)
        tab.page.wait_for_timeout(300)
        columns = np.flatnonzero(tab.canvas()[:, :, 3].any(0))
        assert 46 <= len(columns) <= 52  # half of the result, but for what bicubic interpolation spreads


def test_the_divider_by_keys(tab: Tab) -> None:
    after = result(tab)
    before = bicubic(RGB, after.shape)
    zoom(tab, "1:1")
    divider = tab.page.get_by_role("slider", name="Divider between before and after")
    divider.focus()
    at = []
    for keys in (("Home",), ("ArrowRight",) * 10, ("ArrowLeft",) * 5, ("PageUp",), ("End",)):
        for key in keys:
            divider.press(key)

        def check() -> None:
            at.append(divided_at(view(tab)[0], before, after))

        settled(tab, check)
    home, right, left, page, end = at
    assert home == 0 < left < right < after.shape[1] == end
    assert abs(right - 0.1 * after.shape[1]) <= 1  # a percent each
    assert page > left
    assert divider.get_attribute("aria-valuetext") == "100 % before"


# Zoom.


@pytest.mark.parametrize("ratio", [1, 2])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_pixel_is_so_many_of_the_screen(visit: Visits, server: Server, scale: int, ratio: int) -> None:
    tab = opened(visit(server.address, "server", device_scale_factor=ratio))
    after = result(tab)
    tab.page.locator("#divider").press("Home")
    zoom(tab, f"{scale}:1")
    shown, left, top = view(tab, scale)
    height, width = after.shape[:2]
    canvas = tab.canvas()
    if canvas.shape[1] >= width * scale and canvas.shape[0] >= height * scale:
        np.testing.assert_array_equal(shown, after)
        assert abs(left + width * scale / 2 - canvas.shape[1] / 2) <= 1
        assert abs(top + height * scale / 2 - canvas.shape[0] / 2) <= 1
    box = stage(tab)
    assert canvas.shape[:2] == (round(box["height"] * ratio), round(box["width"] * ratio))
    assert tab.page.locator("[data-zoom][aria-pressed=true]").all_text_contents() == [f"{scale}:1"]
    assert tab.page.locator("#zoom-shown").text_content() == f"{100 * scale} %"


def test_the_screen_shows_the_canvas(tab: Tab) -> None:
    """What is photographed is what is drawn, pixel for pixel."""
    after = result(tab)
    tab.page.locator("#divider").press("Home")
    zoom(tab, "2:1")
    _, left, top = view(tab, 2)
    box = stage(tab)
    photo = np.asarray(Image.open(io.BytesIO(tab.page.screenshot())).convert("RGB"))
    x, y = round(box["x"]) + left, round(box["y"]) + top
    height, width = after.shape[:2]
    part = photo[y : y + 2 * height : 2, x + 50 : x + 2 * width : 2]  # beside the divider's handle
    np.testing.assert_array_equal(part, after[:, 25:])


def test_fit_and_zoom_by_buttons(large: Tab) -> None:
    tab = large
    box = stage(tab)
    fitted = plain_percent(tab)
    assert fitted == pytest.approx(100 * min(box["width"] / 1280, box["height"] / 1200), abs=1)
    rows, columns = (np.flatnonzero(tab.canvas()[:, :, 3].any(axis)) for axis in (1, 0))
    assert len(rows) == pytest.approx(box["height"], abs=2)
    assert len(columns) == pytest.approx(1280 * box["height"] / 1200, abs=2)
    tab.button("Zoom in").click()
    assert plain_percent(tab) == pytest.approx(1.25 * fitted, abs=1)
    tab.button("Zoom out").click()
    assert plain_percent(tab) == pytest.approx(fitted, abs=1)
    tab.button("Zoom out").click()
    assert plain_percent(tab) == pytest.approx(fitted, abs=1)  # no smaller than the stage
    for _ in range(20):
        tab.button("Zoom in").click()
    assert plain_percent(tab) == 1600
    tab.button("Fit").click()
    assert plain_percent(tab) == fitted


def plain_percent(tab: Tab) -> float:
    tab.canvas()  # drawn
    return float(
        (tab.page.locator("#zoom-shown").text_content() or "").replace("\xa0", " ").removesuffix(" %").replace(",", "")
    )


def center(tab: Tab, after: Array, scale: int = 1) -> tuple[float, float]:
    """Which pixel of the result is in the middle of the stage: found by looking for what is shown."""
    canvas = tab.canvas()[:, :, :3]
    height, width = canvas.shape[0] // scale, canvas.shape[1] // scale
    patch = canvas[: 16 * scale : scale, : 16 * scale : scale]
    for offset_y in range(after.shape[0] - 16):
        rows = after[offset_y : offset_y + 16]
        starts = np.flatnonzero((rows[0, : after.shape[1] - 15] == patch[0, 0]).all(1))
        for offset_x in starts:
            if (rows[:, offset_x : offset_x + 16] == patch).all():
                return offset_x + width / 2, offset_y + height / 2
    raise AssertionError("what is shown is no part of the result")


def test_pan_by_mouse_and_keys(large: Tab) -> None:
    tab = large
    after = result(tab)
    tab.page.locator("#divider").press("Home")
    zoom(tab, "4:1")
    x, y = center(tab, after, 4)
    assert (x, y) == pytest.approx((640, 600), abs=2)
    box = stage(tab)
    drag(tab, (box["x"] + 400, box["y"] + 300), (box["x"] + 300, box["y"] + 340))
    assert center(tab, after, 4) == pytest.approx((x + 25, y - 10), abs=1)  # the picture follows the hand
    tab.page.locator("#stage").focus()
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown"):
        tab.page.keyboard.press(key)
    assert center(tab, after, 4) == pytest.approx((x + 25 + 16, y - 10 + 16), abs=1)
    for _ in range(60):
        tab.page.keyboard.press("ArrowLeft")
    left, _ = center(tab, after, 4)
    assert left == pytest.approx(box["width"] / 8, abs=1)  # and not beyond its edge


def test_zoom_by_keys(large: Tab) -> None:
    tab = large
    fitted = plain_percent(tab)
    tab.page.locator("#stage").focus()
    for key, percent in (
        ("1", 100),
        ("2", 200),
        ("4", 400),
        ("+", 500),
        ("-", 400),
        ("0", fitted),
        ("=", 1.25 * fitted),
    ):
        tab.page.keyboard.press(key)
        assert plain_percent(tab) == pytest.approx(percent, abs=1), key


def test_the_wheel_zooms_with_ctrl_alone(large: Tab) -> None:
    tab = large
    fitted = plain_percent(tab)
    box = stage(tab)
    after = result(tab)
    tab.page.locator("#divider").press("Home")
    pointer = box["x"] + 200, box["y"] + 100
    tab.page.mouse.move(*pointer)
    tab.page.mouse.wheel(0, -200)
    assert plain_percent(tab) == fitted
    zoom(tab, "1:1")
    x, y = center(tab, after)
    tab.page.mouse.move(*pointer)
    tab.page.keyboard.down("Control")
    for _ in range(7):
        tab.page.mouse.wheel(0, -200 * np.log(2) / 7)
    tab.page.keyboard.up("Control")
    assert plain_percent(tab) == pytest.approx(200, abs=2)
    zoom(tab, "2:1")
    # The pixel under the pointer stays under it.
    expected = (x + (200 - box["width"] / 2) / 2, y + (100 - box["height"] / 2) / 2)
    assert center(tab, after, 2) == pytest.approx(expected, abs=4)


def test_side_by_side(large: Tab) -> None:
    tab = large
    after = result(tab)
    before = bicubic(LARGE, after.shape)
    tab.page.get_by_label("Side by side").check()
    zoom(tab, "2:1")
    box = stage(tab)
    assert tab.page.locator("#divider-line[hidden]").count() == 1

    def check(step: int = 0) -> None:
        canvas = tab.canvas()
        half = canvas.shape[1] // 2
        panes = canvas[:, : half - 2, :3], canvas[:, half : 2 * half - 2, :3]
        for offset in (0, 1):  # where a pixel begins
            left, right = (pane[offset % 2 :: 2, offset % 2 :: 2] for pane in panes)
            y, x = 600 - canvas.shape[0] // 4, 640 - half // 4 + step
            for dy, dx in ((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)):
                height, width = left.shape[0] - 4, left.shape[1] - 4
                place = slice(y + dy + 2, y + dy + 2 + height), slice(x + dx + 2, x + dx + 2 + width)
                if (right[2 : 2 + height, 2 : 2 + width] == after[place]).all():
                    assert abs(left[2 : 2 + height, 2 : 2 + width].astype(int) - before[place]).max() <= 1
                    return
        raise AssertionError("the right pane does not show the result")

    settled(tab, check)
    drag(tab, (box["x"] + 0.75 * box["width"], box["y"] + 100), (box["x"] + 0.75 * box["width"] - 80, box["y"] + 100))
    settled(tab, lambda: check(40))  # both panes move
    tab.page.get_by_label("Side by side").uncheck()
    tab.canvas()
    assert tab.page.locator("#divider-line[hidden]").count() == 0


# Touch.


def touched(tab: Tab, *steps: list[tuple[float, float]]) -> None:
    """Fingers put on the screen, moved, and lifted."""
    cdp = tab.cdp
    for number, step in enumerate(steps):
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(step)]
        cdp.send("Input.dispatchTouchEvent", {"type": "touchMove" if number else "touchStart", "touchPoints": points})
        tab.page.wait_for_timeout(20)
    cdp.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.fixture
def phone(visit: Visits, server: Server) -> Tab:
    return opened(
        visit(server.address, "server", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True), LARGE
    )


def test_a_finger_drags_the_divider(phone: Tab) -> None:
    box = stage(phone)
    y = box["y"] + box["height"] / 2
    for part in (0.25, 0.7):
        start = line(phone)
        end = box["x"] + part * box["width"]
        touched(phone, *([(start + (end - start) * step / 5, y)] for step in range(6)))
        phone.canvas()
        assert line(phone) == pytest.approx(end, abs=2)


def test_two_fingers_zoom(phone: Tab) -> None:
    fitted = plain_percent(phone)
    box = stage(phone)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touched(phone, *([(x - 20 * step, y), (x + 20 * step, y)] for step in (2, 3, 4, 5, 6)))
    assert plain_percent(phone) == pytest.approx(3 * fitted, rel=0.1)
    assert phone.page.evaluate("visualViewport.scale") == 1  # the picture, not the page
    touched(phone, *([(x - 20 * step, y), (x + 20 * step, y)] for step in (6, 5, 4, 3, 2)))
    assert plain_percent(phone) == pytest.approx(fitted, rel=0.1)


def test_a_finger_pans_a_zoomed_picture(phone: Tab) -> None:
    after = result(phone)
    phone.page.locator("#divider").press("Home")
    zoom(phone, "1:1")
    x, y = center(phone, after)
    box = stage(phone)
    begin = box["x"] + 250, box["y"] + 100
    touched(phone, *([(begin[0] - 10 * step, begin[1] + 5 * step)] for step in range(6)))
    assert center(phone, after) == pytest.approx((x + 50, y - 25), abs=2)


def test_the_page_scrolls_by_a_finger_on_a_picture_that_fits(phone: Tab) -> None:
    box = stage(phone)
    before = phone.page.evaluate("scrollY")
    x, y = box["x"] + 100, box["y"] + 250
    touched(phone, *([(x, y - 40 * step)] for step in range(6)))
    phone.page.wait_for_function("(before) => scrollY > before + 50", arg=before)


# What else is shown.


def test_another_picture_is_shown(tab: Tab) -> None:
    tab.add(("other.png", saved([RGB[::-1]], "PNG")))
    tab.done("other.png")
    tab.show("other.png")
    zoom(tab, "1:1")
    tab.page.locator("#divider").press("Home")
    data = tab.save("other.png")[1]
    settled(tab, lambda: np.testing.assert_array_equal(view(tab)[0], np.asarray(Image.open(io.BytesIO(data)))))
    assert tab.page.locator("#shown-name").text_content() == "other_x2.png"
    tab.button("Remove other.png").click()
    tab.page.locator("#stage[data-empty=false]").wait_for()
    zoom(tab, "1:1")
    expected = result(tab)
    tab.page.locator("#divider").press("Home")
    settled(tab, lambda: np.testing.assert_array_equal(view(tab)[0], expected))


def test_what_a_browser_cannot_show_can_be_saved(visit: Visits, server: Server) -> None:
    tab = visit(server.address, "server")
    tab.choose(format="tif")
    tab.add(("a.png", PNG))
    tab.done("a.png")
    tab.page.get_by_text("This browser cannot show a_x2.tif; it can be saved all the same.").wait_for()
    assert tab.button("4:1").is_disabled()
    assert tab.save("a.png")[0] == "a_x2.tif"
