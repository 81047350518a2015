"""The page for everybody: rules of WCAG by axe, keys alone, a narrow screen, words of one file; and Firefox."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from browsers import at_home
from support import ROOT, saved
from tabs import PNG, Server, Tab, Visits, by_command, payload

if TYPE_CHECKING:
    from playwright.sync_api import Route

NODE_MODULES = ROOT / "web" / "node_modules"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
SCREENS = [(width, scheme) for width in (320, 1280) for scheme in ("light", "dark")]


def filled(tab: Tab) -> None:
    """Two pictures that are done, one that failed, a long name, and all options in sight."""
    tab.choose()
    long = "a picture with a name that is long enough to be broken somewhere " * 2
    tab.add(("photo.png", PNG), (f"{long}.png", PNG), ("none.png", b"This is no picture."))
    tab.done("photo.png")
    tab.done(f"{long}.png")
    tab.state("none.png")


@pytest.fixture(scope="module")
def axe() -> str:
    path = NODE_MODULES / "axe-core" / "axe.min.js"
    if not path.exists():
        pytest.skip("axe is not here (npm ci --prefix web)")
    return path.read_text("utf-8")


def violations(tab: Tab, axe: str) -> list[str]:
    tab.page.evaluate(f"() => {{ {axe} }}")
    found = tab.page.evaluate("async (values) => (await axe.run({runOnly: {type: 'tag', values}})).violations", RULES)
    return [f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_rules_of_wcag(visit: Visits, server: Server, axe: str, width: int, scheme: str) -> None:
    tab = visit(server.address, "server", viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert violations(tab, axe) == []
    filled(tab)
    tab.choose(factor="0.5", quality="0")
    assert violations(tab, axe) == []
    tab.choose(factor="8", quality="")
    tab.add(("running.png", saved([np.zeros((1500, 1500), np.uint8)], "PNG")))
    tab.state("running.png", "running")
    assert violations(tab, axe) == []
    tab.button("Cancel all").click()
    # The server is the next test's, too.
    tab.until("async () => /^fsrcnn_jobs_running 0/m.test(await (await fetch('metrics')).text())")


def test_the_rules_find_what_is_wrong(visit: Visits, server: Server, axe: str) -> None:
    tab = visit(server.address, "server")
    tab.page.evaluate("() => document.querySelector('h1').style.setProperty('color', '#8888')")
    assert any("color-contrast" in text for text in violations(tab, axe))


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_nothing_scrolls_sideways(visit: Visits, server: Server, width: int) -> None:
    tab = visit(server.address, "server", viewport={"width": width, "height": 640})
    wide = "() => document.documentElement.scrollWidth"
    assert tab.page.evaluate(wide) <= width
    filled(tab)
    tab.choose(factor="0.5")
    assert tab.page.evaluate(wide) <= width


def test_the_theme_is_chosen_and_kept(visit: Visits, server: Server) -> None:
    context = visit.context(color_scheme="light")
    tab = visit.tab(context, server.address, "server")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    light = tab.page.evaluate(ground)
    tab.page.get_by_label("Colours").select_option("dark")
    dark = tab.page.evaluate(ground)
    assert sum(map(int, re.findall(r"\d+", dark)[:3])) < 150 < 600 < sum(map(int, re.findall(r"\d+", light)[:3]))
    again = visit.tab(context, server.address)
    assert again.page.evaluate(ground) == dark


# Keys.

FOCUSED = """() => {
  const {activeElement: element} = document;
  if (!element || element === document.body) return null;
  const all = [...document.querySelectorAll('*')], place = element.closest('label') ?? element;
  const {x, y, width, height} = place.getBoundingClientRect();
  const name = element.getAttribute('aria-label') || element.labels?.[0]?.textContent.trim() || element.textContent.trim();
  return {name, at: all.indexOf(element), x, y, width, height};
}"""
REACHABLE = """() => [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')]
  .filter((element) => !element.disabled && element.tabIndex >= 0 && element.checkVisibility({visibilityProperty: true}))
  .filter((element) => element.type !== 'radio' || element.checked)
  .map((element) => [...document.querySelectorAll('*')].indexOf(element))"""


def test_everything_is_reached_by_tab_in_order_and_seen(visit: Visits, server: Server) -> None:
    tab = visit(server.address, "server", viewport={"width": 1280, "height": 1400})
    filled(tab)
    tab.page.evaluate("() => document.activeElement.blur()")
    tab.page.mouse.click(2, 2)
    wanted = settled(tab)
    assert len(wanted) > 30
    reached = []
    for _ in range(len(wanted)):
        tab.page.keyboard.press("Tab")
        stop = tab.page.evaluate(FOCUSED)
        assert stop is not None
        reached.append(stop["at"])
        assert stop["name"], stop
        assert seen(tab, stop), f"the focus of {stop} is not to be seen"
    assert reached == wanted


def settled(tab: Tab) -> list[int]:
    """What can be reached, once it stays the same for a moment: on a busy machine, buttons of the work go after its last picture."""
    reachable: list[int] = tab.page.evaluate(REACHABLE)
    for _ in range(50):
        tab.page.wait_for_timeout(300)
        before, reachable = reachable, tab.page.evaluate(REACHABLE)
        if reachable == before:
            return reachable
    pytest.fail("the page never came to rest")


def seen(tab: Tab, stop: dict[str, Any]) -> bool:
    """Whether the screen differs around an element while it has the focus."""
    room = 8
    left, top = max(0, stop["x"] - room), max(0, stop["y"] - room)
    clip: Any = {
        "x": left,
        "y": top,
        "width": stop["x"] + stop["width"] + room - left,
        "height": stop["y"] + stop["height"] + room - top,
    }
    element = tab.page.evaluate_handle("() => document.activeElement")
    photos = []
    for focus in ("focus", "blur"):
        element.evaluate(f"(element) => element.{focus}({{focusVisible: true, preventScroll: true}})")
        photos.append(
            np.asarray(
                Image.open(io.BytesIO(tab.page.screenshot(clip=clip, animations="disabled"))).convert("RGB"), np.int16
            )
        )
    element.evaluate("(element) => element.focus({focusVisible: true, preventScroll: true})")
    changed = (abs(photos[0] - photos[1]).max(2) > 60).sum()
    return bool(changed > 2 * min(photos[0].shape[:2]))


def test_from_choosing_to_saving_by_keys_alone(visit: Visits, server: Server) -> None:
    tab = visit(server.address, "server")
    keyboard = tab.page.keyboard

    def to(name: str) -> None:
        for _ in range(60):
            keyboard.press("Tab")
            if (tab.page.evaluate(FOCUSED) or {}).get("name") == name:
                return
        raise AssertionError(f"{name} is not reached by Tab")

    to("Choose pictures")
    with tab.page.expect_file_chooser() as chooser:
        keyboard.press("Enter")
    chooser.value.set_files([payload("a.png", PNG)])
    tab.done("a.png")
    to("Save a.png")
    with tab.page.expect_download() as download:
        keyboard.press("Enter")
    assert download.value.suggested_filename == "a_x2.png"
    to("Try a.png again")
    keyboard.press("Enter")
    tab.done("a.png")
    assert tab.page.evaluate("() => document.activeElement !== document.body")  # the focus is not lost with the button
    to("Remove a.png")
    keyboard.press("Space")
    tab.listed(0)


# Words.

MARKED = """
  import * as all from './strings.js?all';
  const mark = (value) =>
    typeof value === 'function' ? (...given) => mark(value(...given)) : typeof value === 'string' && value ? `⟦${value}⟧` : value;
  const marked = (table) => Object.fromEntries(Object.entries(table).map(([name, value]) => [name, mark(value)]));
  export const labels = marked(all.labels), words = marked(all.words);
"""
SAID = """() => {
  const said = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) if (!walk.currentNode.parentElement.closest('script, noscript')) said.push(walk.currentNode.textContent);
  for (const element of document.querySelectorAll('*'))
    for (const name of ['aria-label', 'title', 'alt', 'placeholder', 'aria-valuetext', 'aria-description'])
      if (element.hasAttribute(name)) said.push(element.getAttribute(name));
  return said;
}"""
NAMES = r"fsrcnn(-[\w@.-]+)?|fsrcnn upscale .*|(photo|none|photo_x2)\.png|\d:\d|\d+(\.\d+)?|PNG|JPEG|WebP|TIFF|AVIF|GIF|[+−]|"


def test_all_words_come_from_one_file(visit: Visits, server: Server) -> None:
    """With each of its words marked, what is said without a mark is a name, a number or what the server says."""
    context = visit.context(service_workers="block")
    visit.expected.append("Service Worker registration blocked by Playwright")

    def answer(route: Route) -> None:
        if route.request.url.endswith("?all"):
            route.continue_()
        else:
            route.fulfill(body=MARKED, content_type="text/javascript")

    context.route("**/strings.js*", answer)
    tab = visit.tab(context, server.address)
    tab.compute("server")
    tab.page.locator("#options summary").click()
    tab.page.locator("#factor").fill("0")
    tab.page.locator("#factor").fill("2")
    for name, data in (("photo.png", PNG), ("none.png", b"none")):
        with tab.page.expect_file_chooser() as chooser:
            tab.page.locator("#choose-files").click()
        chooser.value.set_files([payload(name, data)])
    tab.page.locator("[data-state=done]").wait_for()
    tab.page.locator("[data-state=failed]").wait_for()
    tab.canvas()
    texts = [re.sub(r"⟦[^⟦⟧]*⟧", "", re.sub(r"⟦[^⟦⟧]*⟧", "", text)).strip(" ·\n") for text in tab.page.evaluate(SAID)]
    assert len(texts) > 100
    failure = str(tab.page.locator("[data-state=failed] .remark").text_content())
    others = {text for text in texts if not re.fullmatch(NAMES, text) and text not in failure}
    assert others == set()


# Firefox.


def test_firefox(server: Server, engine: None, tmp_path: Path) -> None:
    """Both engines, a real drag of the divider, and no complaint; by WebDriver BiDi."""
    firefox, node = shutil.which("firefox-esr") or shutil.which("firefox"), shutil.which("node")
    if firefox is None or node is None:
        pytest.skip(f"there is no {'Firefox' if node else 'Node'} here (Debian: apt-get install firefox-esr nodejs)")
    if not (NODE_MODULES / "puppeteer-core").exists():
        pytest.skip("puppeteer-core is not here (npm ci --prefix web)")
    picture = tmp_path / "picture.png"
    picture.write_bytes(PNG)
    command: list[str | Path] = [node, ROOT / "tests" / "page_firefox.mjs", firefox, server.address, picture]
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=at_home(home))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["complaints"] == []
    folder = tmp_path / "command"
    folder.mkdir()
    (expected,) = by_command(folder, [("picture.png", PNG)], "--precision", "fast", "--model", "fsrcnn").values()
    by_server, in_browser = (base64.b64decode(said[where]) for where in ("server", "browser"))
    assert by_server == expected
    after = np.asarray(Image.open(io.BytesIO(expected)))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(in_browser))), after)
    # What the canvas shows at 1:1 right of the divider, which was dragged to a quarter.
    canvas = np.asarray(Image.open(io.BytesIO(base64.b64decode(said["canvas"].partition(",")[2]))))
    rows, columns = (np.flatnonzero(canvas[:, :, 3].any(axis)) for axis in (1, 0))
    drawn = canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, :3]
    assert drawn.shape == after.shape
    same = (drawn == after).all((0, 2))
    quarter = after.shape[1] // 4
    assert same[quarter + 2 :].all()
    assert not same[: quarter - 2].all()
