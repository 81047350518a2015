"""Pictures on their way in and out of the page: chosen, dropped, pasted; computed one after the other; saved."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support import saved
from tabs import FLAT, PNG, RGB, Server, Tab, Visits, by_command, serving

JPEG = saved([RGB], "JPEG")
NONE = b"This is no picture."


@pytest.fixture
def tab(visit: Visits, server: Server) -> Tab:
    return visit(server.address, "server")


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of one thread, where one picture may wait."""
    with serving(tmp_path_factory.mktemp("slow"), "--threads", "1", "--queue", "1") as running:
        yield running


def pictures(count: int, side: int = 200) -> list[tuple[str, bytes]]:
    """Different ones, which take a moment each."""
    generator = np.random.default_rng(1)
    return [(f"{i}.png", saved([generator.integers(0, 256, (side, side + i), np.uint8)], "PNG")) for i in range(count)]


# In.


def tree(folder: Path) -> Path:
    """A folder of pictures and of what is none."""
    for name in (
        "photos/b.png",
        "photos/a 10.png",
        "photos/a 9.JPG",
        "photos/notes.txt",
        "photos/.hidden.png",
        "photos/inner/c.png",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(NONE if path.suffix == ".txt" else JPEG if path.suffix == ".JPG" else PNG)
    return folder / "photos"


OF_A_TREE = {"photos/a 9.JPG", "photos/a 10.png", "photos/b.png", "photos/inner/c.png"}


def test_files_are_chosen(tab: Tab) -> None:
    assert tab.page.locator("#queue").is_hidden()
    tab.add(("one.png", PNG), ("two.jpg", JPEG))
    assert tab.names() == ["one.png", "two.jpg"]
    tab.told("2 pictures added.")
    tab.done("one.png")
    tab.done("two.jpg")
    tab.add(("one.png", PNG))  # the same file again
    assert tab.names() == ["one.png", "two.jpg", "one.png"]


def test_a_folder_is_chosen(tab: Tab, tmp_path: Path) -> None:
    tab.add_folder(tree(tmp_path), 4)
    assert tab.names() == ["photos/a 9.JPG", "photos/a 10.png", "photos/b.png", "photos/inner/c.png"]
    tab.told("4 pictures added. 2 files that are no pictures were left out.")


def drag(tab: Tab, *paths: Path, until: str = "drop") -> None:
    """Files of the system's file manager over the page."""
    for kind in ("dragEnter", "dragOver", "drop"):
        data: Any = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        tab.cdp.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 400, "data": data})
        if kind == until:
            return


def test_files_and_folders_are_dropped(tab: Tab, tmp_path: Path) -> None:
    folder = tree(tmp_path)
    single = tmp_path / "single.png"
    single.write_bytes(PNG)
    drag(tab, single, folder, until="dragOver")
    assert tab.page.get_by_text("Let go to add them").is_visible()
    drag(tab, single, folder)
    tab.listed(5)
    assert tab.page.get_by_text("Let go to add them").is_hidden()
    assert tab.names()[0] == "single.png"
    assert set(tab.names()[1:]) == OF_A_TREE
    tab.told("5 pictures added. 2 files that are no pictures were left out.")
    tab.done("c.png")


def test_more_is_dropped_than_a_browser_lists_at_a_time(tab: Tab, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(130):
        (folder / f"{number}.png").write_bytes(b"" if number else PNG)
    drag(tab, folder)
    tab.listed(130)
    assert tab.names() == [f"many/{number}.png" for number in range(130)]  # 2 before 10
    tab.button("Cancel all").click()


def test_a_folder_without_pictures_is_dropped(tab: Tab, tmp_path: Path) -> None:
    empty, notes = tmp_path / "empty", tmp_path / "notes"
    for folder in (empty, notes):
        folder.mkdir()
    (notes / "a.txt").write_bytes(NONE)
    drag(tab, empty)
    tab.told("There was no picture in that.")
    drag(tab, notes)
    tab.told("There was no picture in that. 1 file that is no picture was left out.")
    assert tab.page.locator("#queue").is_hidden()


def test_text_is_dropped(tab: Tab) -> None:
    """From another window: nothing happens, and the page is not left."""
    for kind in ("dragEnter", "dragOver", "drop"):
        data: Any = {"items": [{"mimeType": "text/plain", "data": "words"}], "dragOperationsMask": 1}
        tab.cdp.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 400, "data": data})
    assert tab.page.locator("#curtain").is_hidden()
    assert tab.page.locator("#queue").is_hidden()


COPY = """async (bytes) => {
  const blob = new Blob([Uint8Array.from(bytes)], {type: 'image/png'});
  await navigator.clipboard.write([new ClipboardItem({'image/png': blob})]);
}"""


def test_a_picture_is_pasted(visit: Visits, server: Server) -> None:
    tab = visit(server.address, "server", permissions=["clipboard-read", "clipboard-write"])
    tab.page.evaluate(COPY, list(PNG))
    for _ in range(2):
        tab.page.keyboard.press("Control+V")
    tab.done("pasted-2.png")
    assert tab.names() == ["pasted-1.png", "pasted-2.png"]
    _, data = tab.save("pasted-1.png")
    assert Image.open(io.BytesIO(data)).size == (96, 80)


def test_pasted_text_stays_where_it_belongs(visit: Visits, server: Server) -> None:
    tab = visit(server.address, "server", permissions=["clipboard-read", "clipboard-write"])
    tab.page.evaluate("navigator.clipboard.writeText('3')")
    tab.choose(factor="")
    tab.page.locator("#factor").press("Control+V")
    assert tab.page.locator("#factor").input_value() == "3"
    assert tab.page.locator("#queue").is_hidden()


# The queue.

READ = """
    const text = await (await fetch('metrics')).text();
    const value = (name) => Number(text.match(new RegExp(`^fsrcnn_jobs_${name} ([0-9]+)`, 'm'))[1]);
"""
WATCH = """() => {
  globalThis.seen = {all: [], tallies: [], ofOne: []};
  const look = () => {
    const all = document.querySelector('#progress'), one = document.querySelector('li[data-state=running] progress');
    if (!all.hidden && seen.all.at(-1) !== all.value) seen.all.push(all.value);
    if (one && seen.ofOne.at(-1) !== one.value) seen.ofOne.push(one.value);
    const tally = document.querySelector('#tally').textContent;
    if (seen.tallies.at(-1) !== tally) seen.tallies.push(tally);
    requestAnimationFrame(look);
  };
  look();
}"""


def test_twenty_and_more_while_it_runs(tab: Tab) -> None:
    tab.page.evaluate(WATCH)
    given = [*pictures(19, 400), ("none.png", NONE)]
    tab.choose(factor=3)
    tab.add(*given)
    tab.done("3.png")
    assert tab.page.locator("[data-state=waiting]").count() > 0  # it runs
    tab.add(("more 1.png", PNG), ("more 2.png", PNG))
    tab.page.get_by_text("21 of 22 done, 1 failed", exact=True).wait_for()
    assert tab.names() == [*(name for name, _ in given), "more 1.png", "more 2.png"]
    seen = tab.page.evaluate("seen")
    assert len(seen["all"]) >= 8
    assert len(seen["tallies"]) >= 8
    assert max(seen["all"]) < 1
    assert tab.state("none.png") == "failed"
    assert tab.page.locator("#progress").is_hidden()
    assert tab.page.locator("#status").text_content() == "21 pictures are done, 1 failed."


def test_progress_of_one_moves(visit: Visits, slow: Server) -> None:
    tab = visit(slow.address, "server")
    tab.page.evaluate(WATCH)
    tab.choose(factor=6, precision="exact")  # some seconds on a fast machine, too
    tab.add(("large.png", FLAT))
    tab.done("large.png")
    seen = tab.page.evaluate("seen.ofOne")
    assert len([value for value in seen if 0.2 < value < 0.95]) >= 2  # while it is computed
    assert seen == sorted(seen)
    assert all(0 <= value <= 1 for value in seen)


def test_cancel_retry_and_remove(visit: Visits, server: Server) -> None:
    tab = visit(server.address, "server")
    kept, before = idle(tab), cancelled(tab)
    begin_slow(tab)
    tab.choose(factor=2)
    tab.add(("quick.png", PNG))
    tab.button("Cancel slow.png").click()
    assert tab.state("slow.png") == "cancelled"
    assert tab.remark("slow.png") == "cancelled"
    tab.done("quick.png")
    tab.button("Try slow.png again").click()  # now with the factor of this moment
    tab.done("slow.png")
    assert tab.remark("slow.png").startswith("3,000 × 3,000")
    tab.button("Remove slow.png").click()
    assert tab.names() == ["quick.png"]
    tab.button("Remove all").click()
    tab.page.locator("#queue").wait_for(state="hidden")
    assert tab.page.locator("#viewer").is_hidden()
    begin_slow(tab)
    tab.button("Remove all").click()
    idle(tab, kept)
    check_cancelled(tab, before + 2)


def begin_slow(tab: Tab) -> None:
    """A picture that takes some seconds, under way on the server."""
    tab.choose(factor=8)
    tab.add(("slow.png", FLAT))
    tab.state("slow.png", "running")
    tab.until(f"async () => {{ {READ} return value('running') === 1; }}")


def metrics(tab: Tab) -> str:
    return str(tab.page.evaluate("async () => (await fetch('metrics')).text()"))


def cancelled(tab: Tab) -> float:
    """How many jobs the server has stopped."""
    found = re.search(r'^fsrcnn_jobs_total\{state="cancelled"\} (\S+)', metrics(tab), re.MULTILINE)
    return float(found[1]) if found else 0


def check_cancelled(tab: Tab, count: float) -> None:
    """So many jobs were stopped, each at its next band of rows."""
    for _ in range(100):
        if cancelled(tab) == count:
            break
        tab.page.wait_for_timeout(100)
    assert cancelled(tab) == count


def idle(tab: Tab, kept: int | None = None) -> int:
    """Wait until the server works on nothing, and keeps at most so many results; how many it keeps.

    Tabs of earlier tests may have been closed too suddenly to have theirs deleted.
    """
    most = "Infinity" if kept is None else kept
    tab.until(
        f"""async () => {{
             {READ}
             return value('waiting') === 0 && value('running') === 0 && value('kept') <= {most};
           }}"""
    )
    return int(re.findall(r"^fsrcnn_jobs_kept (\d+)", metrics(tab), re.MULTILINE)[0])


def test_a_tab_that_is_left_has_nothing_computed_on(visit: Visits, server: Server) -> None:
    tab = visit(server.address, "server")
    kept, before = idle(tab), cancelled(tab)
    begin_slow(tab)
    visit.expected.append("favicon.ico")
    tab.page.on("dialog", lambda dialog: dialog.accept())  # work is under way: shall it be left?
    tab.page.goto(server.address + "healthz")
    idle(tab, kept)
    check_cancelled(tab, before + 1)


def test_cancel_all_and_retry_all(visit: Visits, server: Server) -> None:
    tab = visit(server.address, "server")
    tab.choose(factor=8)
    names = [f"slow {number}.png" for number in range(6)]
    tab.add(*((name, FLAT) for name in names))
    tab.state(names[0], "running")
    tab.button("Cancel all").click()
    assert [tab.state(name) for name in names] == ["cancelled"] * 6
    tab.button("Cancel all").wait_for(state="hidden")
    tab.choose(factor="1.2")
    tab.button("Try failed ones again").click()
    for name in names:
        tab.done(name)


def test_a_busy_server_is_waited_for(visit: Visits, slow: Server) -> None:
    """It answers 503 to the third of three that are sent at a time."""
    tab = visit(slow.address, "server")
    visit.expected.append("503")
    tab.page.evaluate(
        """() => {
             globalThis.remarks = new Set();
             new MutationObserver(() => document.querySelectorAll('.remark').forEach(({textContent}) => remarks.add(textContent)))
               .observe(items, {subtree: true, childList: true, characterData: true});
           }"""
    )
    tab.choose(factor=4)
    tab.add(*pictures(4, 500))
    for number in range(4):
        tab.done(f"{number}.png")
    assert [text for text in tab.page.evaluate("[...remarks]") if "the server is busy: tries again in" in text]


def test_the_server_ends_in_mid_work(visit: Visits, tmp_path: Path) -> None:
    visit.expected += [
        "ERR_CONNECTION_REFUSED",
        "ERR_INCOMPLETE_CHUNKED_ENCODING",
        "ERR_CONNECTION_RESET",
        "ERR_EMPTY_RESPONSE",
        "ERR_FAILED",  # what the service worker sends
    ]
    gone = "the server does not answer: it was ended, or the connection is gone; start it and try again"
    with serving(tmp_path) as first:
        tab = visit(first.address, "server")
        begin_slow(tab)
        first.end()
        assert tab.state("slow.png") == "failed"
        assert tab.remark("slow.png") == gone
    tab.choose(factor=2)
    tab.add(("late.png", PNG))
    assert tab.state("late.png") == "failed"
    assert tab.remark("late.png") == gone
    with serving(tmp_path, port=first.port):
        tab.button("Try failed ones again").click()
        tab.done("slow.png")
        tab.done("late.png")


# Out.


def test_one_is_saved_under_the_name_of_the_command(tab: Tab, tmp_path: Path) -> None:
    given = [("photo.png", PNG), ("Größe ✓ 1.JPG", JPEG), ("-dash.png", PNG), ("a.b.jpeg", JPEG)]
    tab.choose(factor="1.5", precision="fast")
    tab.add(*given)
    for name, _ in given:
        tab.done(name)
    results = dict(tab.save(name) for name, _ in given)
    assert results == by_command(tmp_path, given, "--scale", "1.5", "--precision", "fast")
    assert "saved" in tab.remark("photo.png")
    tab.button("Remove saved ones").click()
    assert tab.names() == []


def test_the_viewers_button_saves_what_it_shows(tab: Tab) -> None:
    tab.add(("a.png", PNG), ("b.jpg", JPEG))
    tab.done("a.png")
    tab.done("b.jpg")
    tab.show("b.jpg")
    assert tab.downloaded(tab.button("Save")) == tab.save("b.jpg")


def test_all_are_saved_as_a_zip(tab: Tab, tmp_path: Path) -> None:
    tab.add_folder(tree(tmp_path), 4)
    other = saved([RGB[::-1]], "PNG")
    tab.add(("größe 寸.png", PNG), ("same.png", PNG), ("same.png", other), ("SAME.png", PNG), ("none.png", NONE))
    tab.page.get_by_text("8 of 9 done, 1 failed", exact=True).wait_for()
    entries = tab.save_all()
    assert list(entries) == [
        "photos/a 9_x2.JPG", "photos/a 10_x2.png", "photos/b_x2.png", "photos/inner/c_x2.png",
        "größe 寸_x2.png", "same_x2.png", "same_x2 (2).png", "SAME_x2 (3).png",
    ]  # fmt: skip
    assert len({entry.lower() for entry in entries}) == len(entries)
    singles = [
        tab.downloaded(button)[1]
        for button in tab.page.get_by_role("button", name=re.compile("^Save .*[.](png|JPG)$")).all()
    ]
    assert singles == list(entries.values())
    tab.told("8 pictures in the zip.")


def test_a_result_is_copied(visit: Visits, server: Server) -> None:
    tab = visit(server.address, "server", permissions=["clipboard-read", "clipboard-write"])
    tab.add(("a.jpg", JPEG))
    tab.done("a.jpg")
    tab.button("Copy picture").click()
    tab.told("a_x2.jpg is in the clipboard, as PNG.")
    copied = tab.page.evaluate(
        """async () => {
             const [item] = await navigator.clipboard.read();
             return [...new Uint8Array(await (await item.getType('image/png')).arrayBuffer())];
           }"""
    )
    _, data = tab.save("a.jpg")
    ours, theirs = (np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), np.int16) for file in (data, bytes(copied)))
    assert abs(ours - theirs).max() <= 2  # decoded by the browser
    tab.button("Copy command").click()
    tab.told("Copied.")
    assert tab.page.evaluate("navigator.clipboard.readText()") == "fsrcnn upscale a.jpg --scale 2 --precision fast"


def test_a_clipboard_that_is_refused_is_said(visit: Visits, server: Server) -> None:
    tab = visit(server.address, "server")
    tab.page.evaluate(
        "navigator.clipboard.write = async () => { throw new DOMException('Write permission denied.', 'NotAllowedError'); }; 0"
    )
    tab.add(("a.png", PNG))
    tab.done("a.png")
    tab.button("Copy picture").click()
    tab.told("the browser did not allow it; try again, and agree when it asks")


FOLDER = """
  globalThis.showDirectoryPicker = async () => (await navigator.storage.getDirectory()).getDirectoryHandle('results', {create: true});
"""
LISTED = """async () => {
  const found = {};
  const walk = async (folder, path) => {
    for await (const [name, handle] of folder.entries())
      if (handle.kind === 'file') found[path + name] = [...new Uint8Array(await (await handle.getFile()).arrayBuffer())];
      else await walk(handle, `${path}${name}/`);
  };
  await walk(await showDirectoryPicker(), '');
  return found;
}"""


ALL_SAVED = "() => [...document.querySelectorAll('.remark')].every(({textContent}) => textContent.endsWith('saved'))"


def into_folder(visit: Visits, server: Server, picker: str = FOLDER, where: str = "server") -> Tab:
    """A tab where the person chooses the browser's own folder, in place of one of the system's dialogue."""
    context = visit.context()
    context.add_init_script(picker)
    return visit.tab(context, server.address, where)


def files_in(tab: Tab) -> dict[str, bytes]:
    return {name: bytes(data) for name, data in tab.page.evaluate(LISTED).items()}


def test_results_are_saved_into_a_folder_beside_what_is_there(visit: Visits, server: Server, tmp_path: Path) -> None:
    tab = into_folder(visit, server)
    tab.page.evaluate(
        """async () => {
             const writable = await (await (await showDirectoryPicker()).getFileHandle('a_x2.png', {create: true})).createWritable();
             await writable.write('mine');
             await writable.close();
           }"""
    )
    tab.add(("a.png", PNG))
    tab.done("a.png")
    tab.add_folder(tree(tmp_path), 4)
    for name in ("a 9.JPG", "a 10.png", "b.png", "c.png"):
        tab.done(name)
    singles = [tab.save(name)[1] for name in ("a.png", "c.png")]
    tab.button("Try a.png again").click()  # so that they are to be saved again
    tab.button("Try c.png again").click()
    tab.button("Save into a folder").click()
    tab.told("Results are saved into results, those to come as soon as they are done.")
    tab.page.wait_for_function(ALL_SAVED)
    tab.add(("late.png", PNG))  # what gets done later goes there, too
    tab.page.wait_for_function(ALL_SAVED)
    found = files_in(tab)
    of_a_tree = {"photos/a 9_x2.JPG", "photos/a 10_x2.png", "photos/b_x2.png", "photos/inner/c_x2.png"}
    assert set(found) == {"a_x2.png", "a_x2 (2).png", "late_x2.png", *of_a_tree}
    assert found["a_x2.png"] == b"mine"
    assert [found["a_x2 (2).png"], found["photos/inner/c_x2.png"]] == singles
    assert tab.save("a.png")[1] == singles[0]  # it is read from its file now


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (
            "QuotaExceededError",
            "the disk is full, and nothing of this picture was written; make room and save it again",
        ),
        ("NoModificationAllowedError", "the folder cannot be written to; choose another one"),
        ("NotAllowedError", "the browser did not allow it; try again, and agree when it asks"),
    ],
)
def test_a_folder_that_cannot_be_written(visit: Visits, server: Server, failure: str, sentence: str) -> None:
    broken = f"""
      if (globalThis.FileSystemFileHandle) FileSystemFileHandle.prototype.createWritable = async () => new WritableStream({{
        write() {{ throw new DOMException('It failed.', {json.dumps(failure)}); }},
      }});
    """
    tab = into_folder(visit, server, FOLDER + broken)
    tab.add(("a.png", PNG))
    tab.done("a.png")
    tab.button("Save into a folder").click()
    tab.told(f"a.png was not saved: {sentence}.")
    assert files_in(tab) == {}
    assert "saved" not in tab.remark("a.png")
    assert tab.save("a.png")[0] == "a_x2.png"  # it can be saved elsewhere


def test_names_that_no_folder_takes(visit: Visits, server: Server, engine: None) -> None:
    """Nor all file systems: the same in a folder and in a zip."""
    tab = into_folder(visit, server, where="browser")
    tab.add(('a\\b?".png', PNG), ("c.png", PNG))
    tab.done('a\\b?".png')
    tab.done("c.png")
    tab.button("Save into a folder").click()
    tab.page.wait_for_function(ALL_SAVED)
    assert set(files_in(tab)) == {"a_b___x2.png", "c_x2.png"} == set(tab.save_all())


def test_a_result_that_cannot_be_saved_does_not_stop_the_others(visit: Visits, server: Server) -> None:
    broken = """
      const getFileHandle = globalThis.FileSystemDirectoryHandle?.prototype.getFileHandle;
      if (getFileHandle) FileSystemDirectoryHandle.prototype.getFileHandle = async function (name, options) {
        if (name.startsWith('a') && options?.create) throw new TypeError('Name is not allowed.');
        return getFileHandle.call(this, name, options);
      };
    """
    tab = into_folder(visit, server, FOLDER + broken)
    tab.add(("a.png", PNG), ("b.png", PNG))
    tab.done("a.png")
    tab.done("b.png")
    tab.button("Save into a folder").click()
    tab.told("a.png was not saved: this page failed: Name is not allowed.")
    tab.page.wait_for_function(
        "() => [...document.querySelectorAll('.remark')].some(({textContent}) => textContent.endsWith('saved'))"
    )
    assert set(files_in(tab)) == {"b_x2.png"}


def test_a_result_stays_where_the_options_are_not_right(visit: Visits, server: Server) -> None:
    tab = visit(server.address, "server")
    tab.add(("a.png", PNG))
    tab.done("a.png")
    tab.choose(factor="0.5")
    tab.page.locator("#options summary").click()  # folded
    tab.button("Try a.png again").click()
    tab.told("The options are not right: A factor is a number above 1, up to 64, as 2 or 1.5.")
    assert tab.state("a.png") == "done"
    assert tab.page.locator("#options").get_attribute("open") is not None


def test_a_folder_that_was_not_chosen(visit: Visits, server: Server) -> None:
    tab = into_folder(
        visit,
        server,
        "globalThis.showDirectoryPicker = async () => { throw new DOMException('The user aborted a request.', 'AbortError'); };",
    )
    tab.add(("a.png", PNG))
    tab.done("a.png")
    tab.button("Save into a folder").click()
    tab.page.wait_for_timeout(200)
    tab.told("1 picture added.")  # what it said before
