"""The motion page in a real browser: drawing, playback, controls, hostile texts."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image, ImageColor

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.viewing.figure import ACTION_COLOURS, figure_points
from actiongpt_jax.viewing.raster import Panel
from actiongpt_jax.viewing.webpage import page, write_page
from tests.viewing.browser import FAULTS, started
from tests.viewing.motions import HOSTILE, upright

pytestmark = pytest.mark.slow

TEXTS = {"raise the left arm": ["The left arm rises.", "<i>Up</i> it goes."]}
NEXT = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
# Returns the number and mean column of red and of blue pixels in canvas n, the lowest
# red row as a share of the height, and a hash of all pixels.
LOOK = """(n => {
  const canvas = document.querySelectorAll("canvas")[n];
  const {data} = canvas.getContext("2d")
    .getImageData(0, 0, canvas.width, canvas.height);
  let red = 0, blue = 0, hash = 0, redX = 0, blueX = 0, low = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b] = [data[i], data[i + 1], data[i + 2]];
    const x = (i / 4) % canvas.width, y = Math.floor(i / 4 / canvas.width);
    if (r > 1.6 * b) { red++; redX += x; low = Math.max(low, y / canvas.height); }
    if (b > 1.6 * r) { blue++; blueX += x; }
    hash = (hash * 31 + r + 7 * g + 13 * b) | 0;
  }
  return {red, blue, hash, redX: redX / red, blueX: blueX / blue, low};
})"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def opened(browser, tmp_path):
    """Returns `show(motions, ...)`, which opens their page, paused, in the browser."""

    def show(motions, titles=(), descriptions=None, heading=""):
        path = tmp_path / "page.html"
        write_page(path, motions, titles, descriptions, heading)
        browser.open(path.as_uri())
        browser.run("motionViewer.pause()")
        return browser

    return show


def test_page_draws_without_errors_or_requests(opened):
    tab = opened([upright(60), upright(40)], ["generated", "reference"], TEXTS, "Two")
    tab.run("motionViewer.seek(59)")
    look = tab.run(LOOK + "(0)")
    assert look["red"] > 300 and look["blue"] > 300
    # A body that faces the viewer has its red left side on the viewer's right.
    assert look["redX"] > look["blueX"]
    assert tab.run("document.querySelector('h1').textContent") == "Two"
    assert tab.run("document.querySelectorAll('.panel').length") == 2
    assert (
        tab.run("document.querySelectorAll('details li')[1].textContent")
        == (TEXTS["raise the left arm"][1])
    )
    assert tab.complaints() == []


def test_play_advances_and_scrubbing_selects_the_frame(opened):
    tab = opened([upright(60, fps=30.0), upright(31, fps=15.0), upright(10)])
    first = tab.run(LOOK + "(0)")
    tab.run(
        """(() => { const scrub = document.getElementById("scrub");
        scrub.value = 30; scrub.dispatchEvent(new Event("input")); })()"""
    )
    # Frame 30 at 30 fps is frame 15 at 15 fps; the short motion stays at its end.
    assert tab.run("motionViewer.frames()") == [30, 15, 9]
    assert tab.run(LOOK + "(0)")["hash"] != first["hash"]
    assert "frame 30" in tab.run("document.getElementById('time').textContent")
    tab.run("document.getElementById('play').click()")
    tab.run(
        """new Promise(done => { const look = () => motionViewer.frames()[0] !== 30
        ? done() : requestAnimationFrame(look); look(); })"""
    )
    tab.run("document.getElementById('play').click()")
    assert tab.run("motionViewer.state.playing") is False
    assert tab.complaints() == []


def test_path_of_a_series_has_the_colours_of_its_actions(opened):
    # Returns the number of green and of violet pixels.
    count = """(() => {
      const canvas = document.querySelector("canvas");
      const {data} = canvas.getContext("2d")
        .getImageData(0, 0, canvas.width, canvas.height);
      let green = 0, violet = 0;
      for (let i = 0; i < data.length; i += 4) {
        const [r, g, b] = [data[i], data[i + 1], data[i + 2]];
        if (g > 1.15 * r && g > 1.15 * b) green++;
        if (r > 1.15 * g && b > 1.2 * r) violet++;
      }
      return [green, violet];
    })()"""
    border = "getComputedStyle(document.querySelectorAll('.phrases button')[%d]).%s"
    tab = opened([upright(60)])
    tab.run("motionViewer.seek(30)")
    assert max(tab.run(count)) < 5  # the edge of a limb may mix its colours
    assert tab.run(border % (0, "borderInlineStartWidth")) == "0px"
    tab = opened([upright(60, ("walk", "jump", "sit"))])
    tab.run("motionViewer.seek(10)")
    assert tab.run(count)[0] > 20
    tab.run("motionViewer.seek(55)")
    assert tab.run(count)[1] > 20
    expected = [f"rgb{ImageColor.getrgb(colour)}" for colour in ACTION_COLOURS[:3]]
    shown = [tab.run(border % (i, "borderInlineStartColor")) for i in range(3)]
    assert shown == expected
    tab.run("document.getElementById('trail').click()")
    tab.run(NEXT)
    assert max(tab.run(count)) < 5


def test_keys_step_play_and_change_the_view(opened):
    tab = opened([upright(60, ("walk", "raise the left arm"))])
    tab.run("motionViewer.seek(0)")
    for _ in range(3):
        tab.press("ArrowRight", 39)
    assert tab.run("motionViewer.frames()") == [3]
    tab.run("document.getElementById('scrub').focus()")
    tab.press("End", 35)
    assert tab.run("motionViewer.frames()") == [59]
    active = "document.querySelector('.phrases .active').textContent"
    assert tab.run(active) == "raise the left arm"
    tab.press("Home", 36)
    assert tab.run(active) == "walk"
    tab.press(" ", 32, " ")
    assert tab.run("motionViewer.state.playing") is True
    tab.press(" ", 32, " ")
    before = tab.run(LOOK + "(0)")
    tab.press("b", 66, "b")
    tab.run(NEXT)
    thin = tab.run(LOOK + "(0)")
    assert thin["red"] < 0.7 * before["red"]
    tab.press("d", 68, "d")
    tab.run(NEXT)
    assert tab.run(LOOK + "(0)")["hash"] != thin["hash"]
    tab.run("document.querySelectorAll('.phrases button')[1].click()")
    assert tab.run("motionViewer.frames()") == [30]


def test_keys_that_scroll_a_page_are_left_to_the_browser(opened):
    tab = opened([upright(20)])
    tab.run("motionViewer.seek(5)")
    for key, code in (("PageDown", 34), ("End", 35), ("Home", 36), ("ArrowDown", 40)):
        tab.press(key, code)
    assert tab.run("motionViewer.frames()") == [5]


def test_tab_reaches_play_first_and_skips_the_pictures(opened):
    tab = opened([upright(20, ("walk", "sit"))] * 3)
    reached = []
    for _ in range(7):
        tab.press("Tab", 9)
        reached.append(tab.run("document.activeElement.id"))
    assert reached[:6] == ["play", "scrub", "speed", "skeleton", "trail", "reset"]
    assert tab.run("document.activeElement.textContent") == "walk"


def test_rows_follow_the_comparison_and_a_phone_has_one_column(browser, tmp_path):
    path = tmp_path / "rows.html"
    write_page(path, [upright(5)] * 6, columns=3)
    columns = """new Set([...document.querySelectorAll(".panel")]
        .map(panel => Math.round(panel.getBoundingClientRect().x))).size"""
    browser.open(path.as_uri())
    for width, expected in ((1800, 3), (700, 3), (390, 1)):
        size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False}
        browser.call("Emulation.setDeviceMetricsOverride", **size)
        browser.run(NEXT)
        assert browser.run(columns) == expected
        assert browser.run("document.documentElement.scrollWidth") <= width
    browser.call("Emulation.clearDeviceMetricsOverride")


def test_only_visible_motions_are_drawn(opened):
    tab = opened([upright(5)] * 30)
    drawn = "[...document.querySelectorAll('canvas')].map(c => 'frame' in c.dataset)"
    before = tab.run(drawn)
    assert before[0] and not before[-1]
    tab.run("window.scrollTo(0, document.body.scrollHeight)")
    tab.run(NEXT)
    assert tab.run(drawn)[-1]


def test_frames_are_interpolated_and_exact_at_whole_frames(opened):
    tab = opened([upright(10, fps=10.0)])
    hashes = []
    for time in ("0.3", "0.34", "0.38", "0.4", "0.3"):
        tab.run(f"motionViewer.state.time = {time}; motionViewer.pause()")
        hashes.append(tab.run(LOOK + "(0)")["hash"])
    assert len(set(hashes)) == 4 and hashes[0] == hashes[-1]


def test_dark_mode_has_a_dark_page_and_picture(opened):
    tab = opened([upright(5)])
    corner = """[...document.querySelector("canvas").getContext("2d")
        .getImageData(3, 3, 1, 1).data].slice(0, 3)"""
    assert min(tab.run(corner)) > 200
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    tab.call("Emulation.setEmulatedMedia", features=dark)
    tab.run(NEXT)
    assert max(tab.run(corner)) < 60
    look = tab.run(LOOK + "(0)")
    assert look["red"] > 300 and look["blue"] > 300
    ink = tab.run("getComputedStyle(document.body).color")
    assert min(map(int, re.findall(r"\d+", ink))) > 200
    tab.call("Emulation.setEmulatedMedia", features=[])


def test_page_without_scripts_says_what_it_needs(browser, tmp_path):
    path = tmp_path / "page.html"
    write_page(path, [upright(5)])
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(path.as_uri())
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "allow JavaScript" in browser.run("document.body.innerText")


def test_page_and_picture_look_alike(opened):
    motion = upright(20)
    tab = opened([motion])
    tab.run("motionViewer.seek(12)")
    content = tab.run("document.querySelector('canvas').toDataURL()")
    png = io.BytesIO(base64.b64decode(content.partition(",")[2]))
    shown = Image.open(png).convert("RGB")
    size = min(shown.size)
    left = (shown.width - size) // 2
    shown = np.asarray(shown.crop((left, 0, left + size, size)), np.int64)
    picture = Panel(motion, size).draw(12 / 30).crop((0, 0, size, size))
    apart = np.abs(np.asarray(picture, np.int64) - shown)
    # The smoothed paths of the two cameras, and rounding of lines, differ a little.
    assert apart.mean() < 2
    assert (apart.max(-1) > 40).mean() < 0.01


def test_dragging_orbits_and_pinching_zooms(opened):
    tab = opened([upright(20)])
    place = tab.run(
        """(() => { const box = document.querySelector("canvas")
        .getBoundingClientRect(); return [box.x + box.width / 2, box.y + 80]; })()"""
    )
    azimuth = tab.run("motionViewer.view.azimuth")
    mouse = {"button": "left", "buttons": 1, "clickCount": 1}
    for kind, x in (("mousePressed", 0), ("mouseMoved", 60), ("mouseReleased", 60)):
        tab.call(
            "Input.dispatchMouseEvent", type=kind, x=place[0] + x, y=place[1], **mouse
        )
    assert tab.run("motionViewer.view.azimuth") != azimuth
    for kind, apart in (("touchStart", 30), ("touchMove", 60), ("touchMove", 90)):
        points = [
            {"x": place[0] + side * apart, "y": place[1], "id": side + 1}
            for side in (-1, 1)
        ]
        tab.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
    tab.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    assert tab.run("motionViewer.view.zoom") > 1.3
    tab.press("r", 82, "r")
    assert tab.run("motionViewer.view.zoom") == 1
    assert tab.run("motionViewer.view.azimuth") == pytest.approx(azimuth)


def test_page_fits_a_phone_and_shows_the_feet(opened):
    tab = opened([upright(20)], [HOSTILE[4]])
    phone = {"width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": True}
    tab.call("Emulation.setDeviceMetricsOverride", **phone)
    tab.run(NEXT)
    wide = "document.documentElement.scrollWidth"
    assert tab.run(wide) <= 360
    look = tab.run(LOOK + "(0)")
    assert look["red"] > 300
    assert 0.5 < look["low"] < 0.98
    tab.call("Emulation.clearDeviceMetricsOverride")


def test_hostile_texts_are_shown_literally(opened):
    motion = upright(60, HOSTILE)
    texts = {phrase: [phrase, *HOSTILE[:2]] for phrase in HOSTILE}
    tab = opened([motion], [HOSTILE[0]], texts, HOSTILE[1])
    tab.run("document.querySelector('details').open = true")
    tab.run(NEXT)
    shown = tab.run(
        "[...document.querySelectorAll('.phrases button')].map(b => b.textContent)"
    )
    # The browser replaces a lone surrogate (half of an emoji) by U+FFFD.
    assert [s.replace("\ufffd", "\ud83d") for s in shown] == list(HOSTILE)
    assert tab.run("document.querySelector('h1').textContent") == HOSTILE[1]
    assert tab.run("typeof window.harmed") == "undefined"
    assert tab.run("document.images.length") == 0
    assert tab.run("document.documentElement.scrollWidth <= innerWidth")
    assert tab.complaints() == []


def test_notebook_representation_is_an_isolated_iframe(browser, tmp_path):
    content = upright(30, HOSTILE[:2])._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(f"<!DOCTYPE html><p>cell</p>{content}", encoding="utf-8")
    browser.open(path.as_uri())
    assert browser.run("document.querySelectorAll('iframe').length") == 1
    assert browser.run("document.querySelector('iframe').title") == "motions"
    assert browser.run("document.querySelectorAll('script').length") == 0
    # The still picture is for notebooks that remove frames and styles.
    still = "document.querySelector('img')"
    assert browser.run(f"getComputedStyle({still}).display") == "none"
    assert browser.complaints() == []


def test_notebook_that_is_not_trusted_shows_a_still_picture(browser, tmp_path):
    content = upright(30, HOSTILE[:2])._repr_html_()
    # Sanitizers remove these elements with all that is in them.
    content = re.sub(r"<(iframe|style|script)\b.*?</\1>", "", content, flags=re.S)
    path = tmp_path / "notebook.html"
    path.write_text(f"<!DOCTYPE html>{content}", encoding="utf-8")
    browser.open(path.as_uri())
    shown = """(() => { const image = document.querySelector("img");
        const {complete, naturalWidth, offsetWidth, alt} = image;
        return [complete, naturalWidth, offsetWidth, alt]; })()"""
    complete, natural, drawn, alt = browser.run(shown)
    assert complete and natural == drawn == 240
    assert HOSTILE[0] in alt
    assert browser.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_can_be_used_without_mouse_and_eyes(opened, scheme):
    texts = {"walk": ["A long description of how the legs swing. " * 40] * 4}
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    tab = opened([upright(20, ("walk", "sit"))] * 3, ["real", "", "b"], texts)
    tab.call("Emulation.setEmulatedMedia", features=features)
    tab.run("document.querySelector('details').open = true")
    tab.run(NEXT)
    faults = tab.run(FAULTS)
    tab.call("Emulation.setEmulatedMedia", features=[])
    assert faults == []
    pressed = "document.getElementById('skeleton').getAttribute('aria-pressed')"
    name = "document.getElementById('skeleton').textContent"
    before = tab.run(name)
    for expected in ("true", "false"):
        tab.run("document.getElementById('skeleton').click()")
        assert (tab.run(pressed), tab.run(name)) == (expected, before)


def test_page_is_small_and_contains_the_joints():
    motion = upright(120)
    content = page([motion])
    empty = len(page([upright(1)]))
    assert empty < 400_000 / 10
    assert len(content) - empty < 120 * 30 * 3 * 2 * 1.5
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*['\"]?(?!data:)\w+:", content)
    (data,) = re.findall(r'id="data">(.*?)</script>', content, re.S)
    (shown,) = json.loads(data)["motions"]
    root = np.frombuffer(base64.b64decode(shown["root"]), "<f4").reshape(-1, 1, 3)
    local = np.frombuffer(base64.b64decode(shown["points"]), "<i2")
    points = root + local.reshape(len(root), -1, 3) * 1e-4
    # Half of the page's step of 1e-4 m, and float32 rounding.
    np.testing.assert_allclose(points, figure_points(motion), rtol=0, atol=6e-5)


def test_invalid_arguments_raise():
    with pytest.raises(InputError, match="at least one motion"):
        page([])
    with pytest.raises(InputError, match="titles must be one per motion"):
        page([upright(3)], ["a", "b"])
    with pytest.raises(InputError, match="got 0"):
        page([Motion(np.zeros((0, 22, 3)), np.zeros((0, 3)))])
