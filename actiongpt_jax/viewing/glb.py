"""Motions as glTF binary files: a named skeleton, a skinned body, an animation.

Source: the glTF 2.0 specification (y-up, metres, +z forward, quaternions x y z w).
"""

import os
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.viewing.capsules import capsule_mesh
from actiongpt_jax.viewing.figure import check_motion, motion_matrices

# The world's z becomes y; a body that faces -y there faces +z here, as glTF wants.
Z_UP_TO_Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
# Linear red, green, blue and opacity.
_COLOURS = {
    "left": (0.62, 0.08, 0.11, 1.0),
    "right": (0.03, 0.13, 0.28, 1.0),
    "middle": (0.35, 0.35, 0.37, 1.0),
}
_FLOAT, _SHORT, _BYTE = 5126, 5123, 5121
_ARRAY, _INDICES = 34962, 34963


def y_up(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Turns a motion into a y-up world.

    Returns:
        (T, 22, 3, 3) float64 parent-relative rotations and (T, 3) places of the
        pelvis itself, metres.
    """
    matrices = motion_matrices(motion)
    matrices[:, 0] = Z_UP_TO_Y_UP @ matrices[:, 0]
    pelvis = np.asarray(motion.translation, np.float64) + SMPL22.rest_joints[0]
    return matrices, pelvis @ Z_UP_TO_Y_UP.T


def write_glb(path: str | os.PathLike, motion: Motion) -> None:
    """Writes a motion as .glb: opens in Blender, three.js, Unity, Unreal, Windows.

    Args:
        path: of the file; replaced as a whole.
        motion: what to write.

    Raises:
        InputError: for a motion without frames or of another skeleton, or if
            pygltflib is not installed.
    """
    try:
        import pygltflib as gltf
    except ImportError as error:
        raise InputError(
            ".glb needs pygltflib; run `pip install actiongpt_jax[view]`"
        ) from error
    check_motion(motion, str(path))
    document = gltf.GLTF2(asset=gltf.Asset(generator="actiongpt_jax"))
    packer = _Packer(gltf, document)
    joints = list(range(SMPL22.num_joints))
    document.nodes = [
        gltf.Node(
            name=name,
            translation=list(offset),
            children=[j for j in joints if SMPL22.parents[j] == index],
        )
        for index, (name, offset) in enumerate(
            zip(SMPL22.names, SMPL22.offsets, strict=True)
        )
    ]
    document.nodes.append(gltf.Node(name="body", mesh=0, skin=0))
    caption = ", then ".join(motion.text)
    caption = caption.encode("utf-8", "replace").decode()  # half an emoji
    document.scenes = [gltf.Scene(name=caption or "motion", nodes=[0, len(joints)])]
    document.scene = 0
    document.meshes = [_body(gltf, packer)]
    inverse = np.tile(np.eye(4, dtype=np.float32), (len(joints), 1, 1))
    # Columns of a matrix follow one another: the translation is the last row.
    inverse[:, 3, :3] = -SMPL22.rest_joints
    document.skins = [
        gltf.Skin(
            skeleton=0,
            joints=joints,
            inverseBindMatrices=packer.add(inverse.reshape(-1, 16), "MAT4"),
        )
    ]
    document.animations = [_animation(gltf, packer, motion, caption or "motion")]
    content = bytes(packer.content)
    document.buffers = [gltf.Buffer(byteLength=len(content))]
    document.set_binary_blob(content)
    with replaced(path) as new:
        document.save_binary(str(new))


class _Packer:
    """Appends arrays to the one buffer and lists their accessors."""

    def __init__(self, gltf: Any, document: Any):
        self._gltf, self._document = gltf, document
        self.content = bytearray()

    def add(
        self,
        array: np.ndarray,
        kind: str,
        component: int = _FLOAT,
        target: int | None = None,
    ) -> int:
        gltf = self._gltf
        types = {_FLOAT: np.float32, _SHORT: np.uint16, _BYTE: np.uint8}
        array = np.ascontiguousarray(array, types[component])
        view = gltf.BufferView(
            buffer=0,
            byteOffset=len(self.content),
            byteLength=array.nbytes,
            target=target,
        )
        self.content += array.tobytes()
        self.content += b"\0" * (-len(self.content) % 4)  # accessors are aligned
        self._document.bufferViews.append(view)
        rows = array.reshape(len(array), -1)
        accessor = gltf.Accessor(
            bufferView=len(self._document.bufferViews) - 1,
            componentType=component,
            count=len(array),
            type=kind,
            min=rows.min(0).tolist(),
            max=rows.max(0).tolist(),
        )
        self._document.accessors.append(accessor)
        return len(self._document.accessors) - 1


def _body(gltf: Any, packer: _Packer) -> Any:
    mesh = capsule_mesh()
    joints = np.zeros((len(mesh.vertices), 4), np.uint8)
    joints[:, 0] = mesh.joints
    weights = np.zeros((len(mesh.vertices), 4), np.float32)
    weights[:, 0] = 1.0
    colours = np.array([_COLOURS[side] for side in mesh.sides])
    attributes = gltf.Attributes(
        POSITION=packer.add(mesh.vertices, "VEC3", target=_ARRAY),
        NORMAL=packer.add(mesh.normals, "VEC3", target=_ARRAY),
        COLOR_0=packer.add(colours, "VEC4", target=_ARRAY),
        JOINTS_0=packer.add(joints, "VEC4", _BYTE, _ARRAY),
        WEIGHTS_0=packer.add(weights, "VEC4", target=_ARRAY),
    )
    indices = packer.add(mesh.faces.reshape(-1), "SCALAR", _SHORT, _INDICES)
    surface = gltf.PbrMetallicRoughness(metallicFactor=0.0, roughnessFactor=0.8)
    packer._document.materials = [
        gltf.Material(name="body", pbrMetallicRoughness=surface)
    ]
    return gltf.Mesh(
        name="body",
        primitives=[gltf.Primitive(attributes=attributes, indices=indices, material=0)],
    )


def _animation(gltf: Any, packer: _Packer, motion: Motion, name: str) -> Any:
    matrices, pelvis = y_up(motion)
    times = np.arange(len(pelvis)) / motion.fps
    time = packer.add(times, "SCALAR")
    paths = [("translation", 0, packer.add(pelvis, "VEC3"))]
    for joint in range(SMPL22.num_joints):
        quaternions = Rotation.from_matrix(matrices[:, joint]).as_quat()
        # A quaternion and its negative are one rotation, but readers that mix the
        # numbers of two frames would pass through zero.
        flips = np.sign((quaternions[1:] * quaternions[:-1]).sum(-1, keepdims=True))
        quaternions[1:] *= np.cumprod(np.where(flips == 0, 1, flips), 0)
        paths.append(("rotation", joint, packer.add(quaternions, "VEC4")))
    animation = gltf.Animation(name=name, samplers=[], channels=[])
    for number, (path, joint, output) in enumerate(paths):
        animation.samplers.append(
            gltf.AnimationSampler(input=time, output=output, interpolation="LINEAR")
        )
        target = gltf.AnimationChannelTarget(node=joint, path=path)
        animation.channels.append(gltf.AnimationChannel(sampler=number, target=target))
    return animation
