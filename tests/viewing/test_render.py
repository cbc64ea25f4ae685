"""Pictures and videos: content, duration, and errors of invalid commands."""

import dataclasses
import os
import re
import struct
import subprocess
import sys
import warnings

import imageio_ffmpeg
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageSequence
from scipy.spatial.transform import Rotation

from actiongpt_jax import render
from actiongpt_jax.data.motion import Motion, save_motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.viewing import fonts
from actiongpt_jax.viewing.camera import follow
from actiongpt_jax.viewing.capsules import capsule_mesh
from actiongpt_jax.viewing.captions import caption_image, plain
from actiongpt_jax.viewing.figure import body_vertices, figure_points, first_heading
from actiongpt_jax.viewing.raster import Panel, draw_frames
from actiongpt_jax.viewing.video import write_video
from tests.viewing.motions import HOSTILE, capsule_body, upright

SIZE = 160


def sides(image, kind):
    """Returns the (rows, columns) of red (left) or blue (right) pixels."""
    array = np.asarray(image.convert("RGB"), np.int64)
    red, blue = array[..., 0], array[..., 2]
    coloured = red > 1.6 * blue if kind == "left" else blue > 1.6 * red
    return np.nonzero(coloured)


@pytest.mark.parametrize("figure", ["skeleton", "capsules"])
@pytest.mark.parametrize("turn", [0.0, 2.0])
def test_picture_shows_the_body_upright_from_the_front(figure, turn):
    motion = upright(20)
    cos, sin = np.cos(turn), np.sin(turn)
    about_z = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    root = Rotation.from_matrix(about_z) * Rotation.from_rotvec(motion.rotations[:, 0])
    motion.rotations[:, 0] = root.as_rotvec()
    motion.translation = (motion.translation @ about_z.T).astype(np.float32)
    image = Panel(motion, SIZE, figure).draw(19 / 30)
    left, right = sides(image, "left"), sides(image, "right")
    assert left[1].mean() > right[1].mean()  # the body faces the viewer
    assert left[0].min() < right[0].min()  # the left arm is raised
    assert 0.7 * SIZE < max(left[0].max(), right[0].max()) < SIZE


def test_feet_touch_the_drawn_floor():
    motion = upright(5)
    points = figure_points(motion)
    assert abs(points[..., 2].min()) < 0.03
    camera = follow(points, 30.0, first_heading(motion))
    toes, _ = camera.project(points[2, 10], camera.targets[2])
    ground, _ = camera.project(points[2, 10] * np.array([1, 1, 0]), camera.targets[2])
    # The body is about 1.7 units high in the picture, which is 2 units high.
    assert 0 <= ground[1] - toes[1] < 0.05


def test_camera_follows_and_keeps_the_body_in_the_picture():
    motion = upright(90)
    motion.translation[:, 0] *= 4
    points = figure_points(motion)
    camera = follow(points, 30.0, first_heading(motion))
    for frame in range(90):
        places, _ = camera.project(points[frame], camera.targets[frame])
        assert np.abs(places).max() < 1
    assert np.ptp(camera.targets[:, 0]) > 8


def test_body_model_is_drawn_at_its_joints():
    motion, body = upright(40), capsule_body()
    # Half of a joint's vertices lie at the start of its bone, half at the end.
    points = figure_points(motion)
    shin = body_vertices(motion, body)[:, capsule_mesh().joints == 4].mean(1)
    middle = (points[:, 4] + points[:, 7]) / 2
    np.testing.assert_allclose(shin, middle, rtol=0, atol=0.02)  # caps differ in size
    image = np.asarray(Panel(motion, SIZE, body=body).draw(1.0), np.int64)
    bluish = (image[..., 2] > image[..., 0] + 15)[:SIZE]
    assert bluish.mean() > 0.02
    with pytest.raises(InputError, match="faces"):
        body_vertices(motion, dataclasses.replace(body, faces=None))


def test_visor_tells_the_front_of_the_body_from_its_back():
    def visor_pixels(turn):
        motion = upright(1)
        about_z = Rotation.from_euler("z", turn, degrees=True)
        panel = Panel(motion, SIZE)
        root = about_z * Rotation.from_rotvec(motion.rotations[:, 0])
        turned = dataclasses.replace(motion, rotations=motion.rotations.copy())
        turned.rotations[:, 0] = root.as_rotvec()
        other = Panel(turned, SIZE)
        other.camera = panel.camera  # else the camera would turn with the body
        places, _ = panel.camera.project(
            figure_points(turned)[0, [15, 22]], panel.camera.targets[0]
        )
        (left, top), (right, bottom) = (
            edge(places + 1, axis=0) * SIZE / 2 for edge in (np.min, np.max)
        )
        head = other.draw(0).convert("L").crop((left - 6, top - 6, right + 6, bottom))
        return (np.asarray(head) < 60).mean()

    assert visor_pixels(0) > 0.1
    assert visor_pixels(180) < 0.02


def test_skeleton_has_thin_limbs_and_the_same_head():
    motion = upright(1)
    panels = [Panel(motion, SIZE, figure) for figure in ("capsules", "skeleton")]
    whole, thin = (np.asarray(panel.draw(0), np.int64) for panel in panels)
    points = figure_points(motion)[0]
    camera = panels[0].camera
    places, _ = camera.project(points, camera.targets[0])
    column, row = ((places[22] + 1) * SIZE / 2).astype(int)  # top of the head
    around = np.s_[row - 4 : row + 4, column - 4 : column + 4]
    assert (whole[around] == thin[around]).all()
    assert len(sides(panels[1].draw(0), "left")[0]) < 0.6 * len(
        sides(panels[0].draw(0), "left")[0]
    )


def test_shadow_is_dark_where_a_foot_touches_the_floor():
    def darkest(height):
        motion = upright(1)
        motion.translation[:, 2] += height
        panel = Panel(motion, SIZE)
        image = np.asarray(panel.draw(0).convert("L"), np.int64)
        camera = panel.camera
        toes = figure_points(motion)[0, 10] * np.array([1, 1, 0])
        place, _ = camera.project(toes, camera.targets[0])
        column, row = ((place + 1) * SIZE / 2).astype(int)
        # Next to the foot on the floor, towards the viewer.
        return image[row + 3 : row + 6, column - 6 : column + 7].min()

    assert darkest(0.0) < darkest(0.5) - 20


def test_frames_between_the_motion_s_frames_are_interpolated():
    motion = upright(2, fps=1.0)
    panel = Panel(motion, SIZE)
    first, middle, last = (
        sides(panel.draw(time), "left")[0].min() for time in (0, 0.5, 1)
    )
    assert last < middle < first  # the raised arm's highest pixel
    assert panel.draw(1) == panel.draw(7)


def test_active_phrase_is_highlighted():
    def dark(active):
        image = caption_image(["walk", "jump up high"], active, 300, 14, "#ffffff")
        return np.nonzero((np.asarray(image.convert("L")) < 70).any(0))[0]

    assert dark(0).max() < dark(1).min()
    assert (dark(-1).min(), dark(-1).max()) == (dark(0).min(), dark(1).max())
    many = [f"phrase number {i}" for i in range(60)]
    assert len(caption_pixels(many, 59)) and len(caption_pixels(many, 0))


def caption_pixels(phrases, active):
    image = caption_image(phrases, active, 200, 12, "#ffffff")
    return np.nonzero(np.asarray(image.convert("L")) < 70)[0]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_captions_are_drawn_as_one_line_of_text(text, tmp_path):
    image = caption_image([text, "walk"], 0, 200, 12, "#ffffff")
    assert image.size[0] == 200 and np.asarray(image).min() < 70
    assert len(plain(text)) <= len(text)
    assert "\n" not in plain(text + "\n\x00\u2028.")


# Draws a caption, and writes its number of dark pixels and the warnings.
DRAW = """
import sys, warnings
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from actiongpt_jax.viewing.captions import caption_image
    from actiongpt_jax.viewing import plot
    from tests.viewing.motions import upright
    image = caption_image([sys.argv[1]], 0, 200, 20, "#ffffff")
    plot.strip([upright(2, (sys.argv[1],))], sys.argv[2], poses=2)
strip = np.asarray(__import__("PIL.Image").Image.open(sys.argv[2]).convert("L"))
said = [w for w in caught if "font" in str(w.message)]
print((np.asarray(image.convert("L")) < 70).sum(), (strip < 70).sum(), len(said))
"""


@pytest.mark.slow
def test_captions_use_a_font_that_has_their_characters(tmp_path):
    """A new font whose two characters are filled squares of one em."""
    pen = TTGlyphPen(None)
    for place in ((0, 0), (0, 1000), (1000, 1000), (1000, 0)):
        (pen.lineTo if place != (0, 0) else pen.moveTo)(place)
    pen.closePath()
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord("走"): "square", ord("\U0001f57a"): "square"})
    builder.setupGlyf(dict.fromkeys((".notdef", "square"), pen.glyph()))
    builder.setupHorizontalMetrics({name: (1000, 0) for name in (".notdef", "square")})
    builder.setupHorizontalHeader(ascent=1000, descent=-200)
    builder.setupNameTable({"familyName": "Square", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    (tmp_path / "fonts").mkdir()
    builder.save(tmp_path / "fonts" / "square.ttf")

    done = subprocess.run(
        [sys.executable, "-c", DRAW, "走 \U0001f57a", str(tmp_path / "strip.png")],
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    caption, strip, warned = map(int, done.stdout.split())
    assert caption > 2 * 18 * 18  # two whole squares
    assert strip > 2 * 13 * 13 and warned == 0


def test_characters_that_no_font_has_are_said_once(monkeypatch):
    monkeypatch.setattr(fonts, "_warned", set())
    with pytest.warns(UserWarning, match="no font .* has the characters") as caught:
        for text in ("\U000f0000", "\U000f0001 walk"):
            caption_image([text], 0, 200, 20, "#ffffff")
    assert len(caught) == 1


def test_panels_of_different_frame_rates_show_the_same_time():
    fast, slow = upright(21, fps=20.0), upright(11, fps=10.0)
    frames = list(draw_frames([Panel(fast, SIZE), Panel(slow, SIZE)], 10.0))
    assert len(frames) == 11
    for frame in frames:
        left, right = (
            np.asarray(frame.crop((x, 0, x + SIZE, SIZE)), np.int64) for x in (0, SIZE)
        )
        # Both show the same moment; only the smoothing of the camera's path differs.
        assert np.abs(left - right).mean() < 1.0
    assert all(size % 2 == 0 for size in frames[0].size)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("motions")
    for name, frames in (("long", 40), ("short", 25)):
        save_motion(folder / f"{name}.npz", upright(frames, ("walk", HOSTILE[1])))
    return str(folder / "long.npz"), str(folder / "short.npz")


def test_gif_lasts_as_long_as_the_motion(files, tmp_path):
    out = tmp_path / "two.gif"
    render.main([*files, "--out", str(out), "--size", "96"])
    with Image.open(out) as gif:
        durations = [f.info["duration"] for f in ImageSequence.Iterator(gif)]
        assert len(durations) == 40
        assert gif.info["loop"] == 0
        assert gif.size[0] == 2 * 96
    assert sum(durations) == pytest.approx(
        40 / 30 * 1000, abs=10
    )  # one tick of a GIF's clock


@pytest.mark.slow
@pytest.mark.parametrize("fps", [60.0, 120.0, 51.0, 50.0])
def test_gif_plays_at_its_speed_in_browsers(tmp_path, fps):
    motion, out = upright(round(fps) + 1, fps=fps), tmp_path / "fast.gif"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write_video(out, [motion], [""], size=64, fps=fps)
    said = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    assert (len(said) == 1 and "50 frames per second" in said[0]) == (fps > 50)
    with Image.open(out) as gif:
        durations = [f.info["duration"] for f in ImageSequence.Iterator(gif)]
    assert min(durations) >= 20  # browsers play shorter frames 100 ms long
    assert max(durations) <= 30
    assert sum(durations) == pytest.approx(1000 + 20, abs=10)


def test_gif_palette_has_the_colours_of_all_frames(tmp_path):
    motion, out = upright(30), tmp_path / "turn.gif"
    write_video(out, [motion], [""], size=128)
    with Image.open(out) as gif:
        frames = [f.convert("RGB") for f in ImageSequence.Iterator(gif)]
    for time in (0, 15, 29):
        drawn = Panel(motion, 128).draw(time / 30)
        apart = np.abs(np.asarray(drawn, np.int64) - np.asarray(frames[time]))
        assert apart.mean() < 2.5 and np.quantile(apart, 0.99) < 24


def test_gif_stores_only_what_changes(tmp_path):
    out = tmp_path / "turn.gif"
    write_video(out, [upright(10)], [""], size=128)
    # The graphic control extension of every frame: the lowest bit of its flags says
    # whether the frame lets the one before show through.
    flags = [found[1][0] for found in re.finditer(rb"!\xf9\x04(.)", out.read_bytes())]
    assert len(flags) == 10 and all(flag & 1 for flag in flags[1:])


def boxes(content):
    """Yields the (name, start) of the boxes of an .mp4, in their order."""
    start = 0
    while start < len(content):
        size, name = struct.unpack_from(">I4s", content, start)
        yield name.decode(), start
        start += size


@pytest.mark.slow
def test_mp4_has_its_index_before_its_frames(files, tmp_path):
    out = tmp_path / "one.mp4"
    render.main([files[1], "--out", str(out), "--size", "64"])
    names = [name for name, _ in boxes(out.read_bytes())]
    assert names.index("moov") < names.index("mdat")


@pytest.mark.parametrize(
    ("flag", "value", "wrong"),
    [
        ("--body", "absent.npz", "html glb"),
        ("--figure", "skeleton", "html bvh"),
        ("--fps", "60", "html png npz"),
        ("--size", "96", "html png json"),
        ("--poses", "5", "html gif mp4 glb"),
        ("--descriptions", "absent.json", "gif png glb"),
        ("--layout", "smplx", "html gif json"),
        ("--names", "mixamo", "npz glb"),
        ("--t-pose", None, "json"),
        ("--title", "a", "glb bvh npz json"),
    ],
)
def test_options_that_a_format_ignores_are_refused(files, tmp_path, flag, value, wrong):
    for suffix in wrong.split():
        out = tmp_path / f"x.{suffix}"
        with pytest.raises(InputError, match=f"{flag} changes only .*leave"):
            render.main([files[0], "--out", str(out), *filter(None, (flag, value))])
        assert not out.exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:os.fork")  # raised by the video reader
def test_mp4_has_the_requested_size_rate_and_frames(files, tmp_path):
    out = tmp_path / "one.mp4"
    render.main([files[0], "--out", str(out), "--size", "97", "--fps", "15"])
    reader = imageio_ffmpeg.read_frames(str(out))
    about = next(reader)
    assert about["fps"] == 15 and about["codec"] == "h264"
    width, height = about["size"]
    frames = [np.frombuffer(f, np.uint8).reshape(height, width, 3) for f in reader]
    assert len(frames) == 21 and width == 98
    last = Image.fromarray(frames[-1])
    assert sides(last, "left")[1].mean() > sides(last, "right")[1].mean()


def test_pictures_of_a_body_model_have_every_frame_and_its_colour(files, tmp_path):
    body = capsule_body()
    parents = np.array([body.parents, range(22)], np.int64)
    arrays = {
        name: getattr(body, name)
        for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights")
    }
    arrays |= {"kintree_table": parents, "f": np.asarray(body.faces)}
    np.savez(tmp_path / "b.npz", **arrays)
    out = tmp_path / "mesh.gif"
    command = [files[1], "--out", str(out), "--body", str(tmp_path / "b.npz")]
    render.main([*command, "--size", "96", "--fps", "5"])
    with Image.open(out) as gif:
        assert sum(1 for _ in ImageSequence.Iterator(gif)) == 5
    # The poses of a strip show the mesh, whose limbs have no colours of their own.
    for name, flags in (("figure", []), ("mesh", command[3:])):
        out = tmp_path / f"{name}.png"
        render.main([files[1], "--out", str(out), "--poses", "2", *flags])
        # Left of the path and above the line of actions, whose colours are their own.
        poses = np.asarray(Image.open(out), float)[:280, :360]
        red, _, blue = poses.transpose(2, 0, 1)
        assert (np.abs(red - blue).max() > 80) == (name == "figure")
        assert (red < 200).sum() > 2000


@pytest.mark.parametrize("suffix", ["png", "html", "glb", "bvh", "npz", "json"])
def test_every_format_is_written_as_one_file(files, tmp_path, suffix, capsys):
    out = tmp_path / "new" / f"x.{suffix}"
    few = ["--poses", "3"] if suffix == "png" else []
    render.main([files[0], "--out", str(out), *few])
    assert out.stat().st_size > 1000
    assert str(out) in capsys.readouterr().out
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_html_contains_descriptions_of_shown_phrases_only(files, tmp_path):
    described = tmp_path / "d.json"
    described.write_text('{"walk": ["The legs swing."], "fly": ["Nobody does."]}')
    out = tmp_path / "x.html"
    render.main([*files, "--out", str(out), "--descriptions", str(described)])
    content = out.read_text(encoding="utf-8")
    assert "The legs swing." in content and "Nobody does." not in content


def test_invalid_commands_raise_one_sentence(files, tmp_path):
    def npz(name, **arrays):
        np.savez(tmp_path / name, mocap_framerate=30.0, **arrays)
        return str(tmp_path / name)

    lacking = npz("lacking.npz", trans=np.zeros((3, 3)))
    empty = npz("empty.npz", poses=np.zeros((0, 156)), trans=np.zeros((0, 3)))
    other = npz("other.npz", poses=np.zeros((3, 72)), trans=np.zeros((3, 3)))
    out = ["--out", str(tmp_path / "x.gif")]
    for arguments, words in [
        ([lacking, *out], ["lacking.npz", "poses"]),
        ([empty, *out], ["empty.npz", "got 0"]),
        ([other, *out], ["other.npz", "(3, 72)", "156"]),
        ([files[0], "--out", "x.fbx"], [".glb", ".html", ".mp4", "x.fbx"]),
        ([*files, "--out", "x.glb"], ["one motion", "2"]),
        ([files[0], *out, "--title", "a", "--title", "b"], ["--title"]),
        ([files[0], *out, "--size", "9"], ["size", "64"]),
        ([files[0], *out, "--fps", "nan"], ["fps"]),
        ([files[0], "--out", "x.png", "--poses", "1"], ["--poses", "2 to 40"]),
        ([files[0], *out, "--figure", "skeleton", "--body", "b"], ["--figure"]),
        ([files[0], *out, "--body", "absent.npz"], ["absent.npz"]),
        (["absent.npz", *out], ["absent.npz"]),
    ]:
        with pytest.raises(InputError) as caught:
            render.main(arguments)
        message = str(caught.value)
        assert all(word in message for word in words), message
        assert "\n" not in message
    assert not (tmp_path / "x.gif").exists()


@pytest.mark.slow
def test_unknown_suffix_exits_with_2_and_one_line(files):
    done = subprocess.run(
        [sys.executable, "-m", "actiongpt_jax.render", files[0], "--out", "x.avi"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert re.fullmatch(r"error: --out must end in .*\n", done.stderr)


def test_motions_that_cannot_be_drawn_raise():
    bad = Motion(np.zeros((4, 22, 3)), np.full((4, 3), np.inf))
    with pytest.raises(InputError, match="finite"):
        Panel(bad, SIZE)
    with pytest.raises(InputError, match="lengths"):
        Panel(Motion(np.zeros((4, 22, 3)), np.zeros((4, 3)), 30.0, ("a",), (3,)), SIZE)


@pytest.mark.parametrize("suffix", ["gif", "mp4", "png", "html", "glb", "bvh", "json"])
def test_motion_of_one_frame_is_written(tmp_path, suffix):
    motion = upright(1)
    save_motion(tmp_path / "one.npz", motion)
    out = tmp_path / f"one.{suffix}"
    small = ["--size", "64"] if suffix in ("gif", "mp4") else []
    render.main([str(tmp_path / "one.npz"), "--out", str(out), *small])
    assert out.stat().st_size > 500
