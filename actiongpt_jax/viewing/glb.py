"""Writes motions as glTF binary files: named skeleton, skinned body, animation.

Source: the glTF 2.0 specification (y-up, metres, +z forward, quaternions x y z w).
"""

import functools
import os
from collections.abc import Callable

import numpy as np
import pygltflib as gltf
from PIL import ImageColor
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.viewing.capsules import capsule_mesh
from actiongpt_jax.viewing.figure import COLOURS, y_up

# Red, green, blue and opacity; 2.2 is about the exponent from sRGB to linear colours.
_COLOURS = {
    part: (*((np.array(ImageColor.getrgb(colour)) / 255) ** 2.2).tolist(), 1.0)
    for part, colour in COLOURS.items()
}
# numpy's type code -> glTF's component type, and row width -> glTF's element type.
_COMPONENTS = {"f": gltf.FLOAT, "H": gltf.UNSIGNED_SHORT, "B": gltf.UNSIGNED_BYTE}
_TYPES = {1: gltf.SCALAR, 3: gltf.VEC3, 4: gltf.VEC4, 16: gltf.MAT4}


def write_glb(path: str | os.PathLike, motion: Motion) -> None:
    """Writes a motion as a .glb file for Blender, three.js, Unity, Unreal and others.

    Args:
        path: file to write, replaced atomically.
        motion: the motion to write; it must have passed `check_motion`.
    """
    document, content = gltf.GLTF2(), bytearray()
    add = functools.partial(_add, document, content)
    caption = motion.caption or "motion"
    caption = caption.encode(
        "utf-8", "replace"
    ).decode()  # lone surrogates, such as half an emoji, cannot be encoded
    joints = list(range(SMPL22.num_joints))
    document.asset = gltf.Asset(generator="actiongpt_jax")
    places, turns = _channels(motion)
    # Readers that play no animation show the nodes as they are: in the first pose.
    document.nodes = [
        gltf.Node(
            name=SMPL22.names[joint],
            translation=list(SMPL22.offsets[joint]) if joint else places[0].tolist(),
            rotation=turns[0, joint].tolist(),
            children=[j for j in joints if SMPL22.parents[j] == joint],
        )
        for joint in joints
    ]
    document.nodes.append(gltf.Node(name="body", mesh=0, skin=0))
    document.scenes = [gltf.Scene(name=caption, nodes=[0, len(joints)])]
    document.scene = 0
    surface = gltf.PbrMetallicRoughness(metallicFactor=0.0, roughnessFactor=0.8)
    document.materials = [gltf.Material(name="body", pbrMetallicRoughness=surface)]
    document.meshes = [gltf.Mesh(name="body", primitives=[_body(add)])]
    inverse = np.tile(np.eye(4, dtype=np.float32), (len(joints), 1, 1))
    # glTF stores matrices column by column, so the translation is the last row.
    inverse[:, 3, :3] = -SMPL22.rest_joints
    skin = gltf.Skin(skeleton=0, joints=joints, inverseBindMatrices=add(inverse))
    document.skins = [skin]
    document.animations = [_animation(add, motion.fps, places, turns, caption)]
    document.buffers = [gltf.Buffer(byteLength=len(content))]
    document.set_binary_blob(bytes(content))
    with replaced(path) as new:
        document.save_binary(str(new))


def _add(
    document: gltf.GLTF2,
    content: bytearray,
    values: np.ndarray,
    dtype: type = np.float32,
    target: int | None = None,
) -> int:
    """Appends an array to the file's one buffer; returns its accessor's index.

    Args:
        document: the document that receives the accessor.
        content: the buffer, extended in place.
        values: (n, ...) one scalar, vector or matrix per row.
        dtype: type of the numbers in the file.
        target: glTF's buffer target (vertices or indices), or None for other data.
    """
    rows = np.asarray(values, dtype).reshape(len(values), -1)
    view = gltf.BufferView(
        buffer=0, byteOffset=len(content), byteLength=rows.nbytes, target=target
    )
    document.bufferViews.append(view)
    content += rows.tobytes()
    content += b"\0" * (-len(content) % 4)  # glTF aligns accessors to 4 bytes
    accessor = gltf.Accessor(
        bufferView=len(document.bufferViews) - 1,
        componentType=_COMPONENTS[rows.dtype.char],
        count=len(rows),
        type=_TYPES[rows.shape[1]],
        min=rows.min(0).tolist(),
        max=rows.max(0).tolist(),
    )
    document.accessors.append(accessor)
    return len(document.accessors) - 1


def _body(add: Callable[..., int]) -> gltf.Primitive:
    mesh = capsule_mesh()
    joints, weights = np.zeros((2, len(mesh.vertices), 4))
    joints[:, 0], weights[:, 0] = mesh.joints, 1.0
    colours = np.array([_COLOURS[part] for part in mesh.parts])
    add_vertices = functools.partial(add, target=gltf.ARRAY_BUFFER)
    attributes = gltf.Attributes(
        POSITION=add_vertices(mesh.vertices),
        NORMAL=add_vertices(mesh.normals),
        COLOR_0=add_vertices(colours),
        JOINTS_0=add_vertices(joints, np.uint8),
        WEIGHTS_0=add_vertices(weights),
    )
    indices = add(mesh.faces.ravel(), np.uint16, gltf.ELEMENT_ARRAY_BUFFER)
    return gltf.Primitive(attributes=attributes, indices=indices, material=0)


def _channels(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Returns (T, 3) positions of the pelvis and (T, 22, 4) quaternions."""
    matrices, pelvis = y_up(motion)
    quaternions = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_quat()
    quaternions = quaternions.reshape(*matrices.shape[:2], 4)
    # A quaternion and its negative are the same rotation, but readers that interpolate
    # between two of opposite sign would pass through zero.
    flips = (quaternions[1:] * quaternions[:-1]).sum(-1, keepdims=True) < 0
    quaternions[1:] *= np.cumprod(np.where(flips, -1, 1), 0)
    return pelvis, quaternions


def _animation(
    add: Callable[..., int],
    fps: float,
    places: np.ndarray,
    turns: np.ndarray,
    name: str,
) -> gltf.Animation:
    times = add(np.arange(len(places)) / fps)
    animation = gltf.Animation(name=name)
    paths = [("translation", 0, places)]
    paths += [("rotation", j, turns[:, j]) for j in range(SMPL22.num_joints)]
    for number, (path, joint, values) in enumerate(paths):
        sampler = gltf.AnimationSampler(input=times, output=add(values))
        target = gltf.AnimationChannelTarget(node=joint, path=path)
        animation.samplers.append(sampler)
        animation.channels.append(gltf.AnimationChannel(sampler=number, target=target))
    return animation
