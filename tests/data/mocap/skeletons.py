"""Writes a motion of SMPL's body as BVH of other skeletons, with plain numpy."""

import dataclasses
import functools

import numpy as np
from scipy.spatial.transform import Rotation

from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.synthetic.person import draw_person
from actiongpt_jax.synthetic.phrases import load_phrases
from actiongpt_jax.synthetic.sequence import make_sequence

NAMES = SMPL22.names
PARENTS = SMPL22.parents
# Tips of the limbs at rest, metres.
TIPS = {
    "left_foot": (0.0, 0.0, 0.06),
    "right_foot": (0.0, 0.0, 0.06),
    "left_wrist": (0.08, 0.0, 0.0),
    "right_wrist": (-0.08, 0.0, 0.0),
    "head": (0.0, 0.12, 0.02),
}
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
# Joint -> the joint at the end of its bone.
MAIN_CHILD = {
    NAMES.index(start): NAMES.index(end)
    for side in ("left", "right")
    for start, end in (
        (f"{side}_hip", f"{side}_knee"),
        (f"{side}_knee", f"{side}_ankle"),
        (f"{side}_ankle", f"{side}_foot"),
        (f"{side}_collar", f"{side}_shoulder"),
        (f"{side}_shoulder", f"{side}_elbow"),
        (f"{side}_elbow", f"{side}_wrist"),
    )
}


@functools.cache
def walking():
    """Returns a walk and a wave: (T, 22, 3, 3) orientations, (T, 3) pelvis, z-up."""
    rng = np.random.default_rng(3)
    by_text = {phrase.text: phrase for phrase in load_phrases()}
    texts = ("walk forward", "wave with the right hand")
    sequence = make_sequence([by_text[t] for t in texts], draw_person(rng), rng, 30.0)
    local = Rotation.from_rotvec(sequence.rotations.reshape(-1, 3)).as_matrix()
    turned = local.reshape(-1, 22, 3, 3)
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            turned[:, joint] = turned[:, parent] @ turned[:, joint]
    return turned, sequence.translation + SMPL22.rest_joints[0]


@dataclasses.dataclass
class Style:
    """How a program writes a skeleton.

    `frames` turns SMPL's axes of a joint into the axes of the file's joint; `scale` is
    units per metre; `rest_frame` puts the pose with all angles zero in front.
    """

    names: dict[str, str] = dataclasses.field(default_factory=dict)
    frames: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)
    scale: float = 100.0
    order: str = "ZXY"
    up: str = "y"
    rest_frame: bool = False
    positions: bool = False
    stretch: float = 1.0
    placed_below: bool = False


def along_x():
    """Returns joint axes of which x lies along the bone, -x on the right side."""
    frames = {}
    offsets = np.array(SMPL22.offsets)
    for joint in range(22):
        side = -1.0 if NAMES[joint].startswith("right") else 1.0
        bone = offsets[MAIN_CHILD[joint]] if joint in MAIN_CHILD else None
        if joint in (20, 21):
            bone = offsets[joint]
        if joint in (10, 11):
            bone = np.array([0.0, 0.0, 1.0])
        if bone is None:
            bone, side = np.array([0.0, 1.0, 0.0]), 1.0
        x = side * bone / np.linalg.norm(bone)
        hinge = np.array([0.0, 1, 0]) if joint >= 13 and joint != 15 else np.eye(3)[0]
        z = hinge - (hinge @ x) * x
        z /= np.linalg.norm(z)
        frames[joint] = np.stack([x, np.cross(z, x), z], -1)
    return frames


def to_bvh(style, turned, pelvis, fps="0.0333333"):
    """Returns the text of a BVH file."""
    offsets = np.array(SMPL22.offsets) * style.stretch
    world = Y_UP if style.up == "y" else np.eye(3)
    axes = [style.frames.get(joint, np.eye(3)) for joint in range(22)]
    name = [style.names.get(n, n) for n in NAMES]
    oriented = [world @ turned[:, j] @ axes[j] for j in range(22)]
    columns = [world @ pelvis[:, :, None] * style.scale * style.stretch]
    columns = [columns[0][..., 0]]
    lines = ["HIERARCHY"]

    def angles(joint):
        parent = PARENTS[joint]
        local = oriented[joint]
        if parent >= 0:
            local = np.swapaxes(oriented[parent], -1, -2) @ local
        return Rotation.from_matrix(local).as_euler(style.order, degrees=True)

    def block(joint, depth):
        parent = PARENTS[joint]
        offset = np.zeros(3) if parent < 0 else axes[parent].T @ offsets[joint]
        offset = offset * style.scale
        kind = "ROOT" if joint == 0 and not style.placed_below else "JOINT"
        lines.append(f"{'  ' * depth}{kind} {name[joint]}")
        lines.append("{")
        lines.append("OFFSET " + " ".join(f"{x:.6f}" for x in offset))
        turns = " ".join(f"{axis}rotation" for axis in style.order)
        if joint == 0 or style.positions:
            lines.append(f"CHANNELS 6 Xposition Yposition Zposition {turns}")
            if joint:
                columns.append(np.tile(offset, (len(turned), 1)))
        else:
            lines.append(f"CHANNELS 3 {turns}")
        columns.append(angles(joint))
        children = [c for c in range(22) if PARENTS[c] == joint]
        for child in children:
            block(child, depth + 1)
        if not children:
            tip = axes[joint].T @ np.array(TIPS[NAMES[joint]]) * style.scale
            numbers = " ".join(f"{x:.6f}" for x in tip)
            lines.extend(["End Site", "{", f"OFFSET {numbers}", "}"])
        lines.append("}")

    if style.placed_below:
        lines.extend(["ROOT Placed", "{", "OFFSET 0 0 0"])
        turns = " ".join(f"{axis}rotation" for axis in style.order)
        lines.append(f"CHANNELS 6 Xposition Yposition Zposition {turns}")
        columns.insert(0, np.zeros((len(turned), 6)))
    block(0, 0)
    if style.placed_below:
        lines.append("}")
    values = np.concatenate(columns, -1)
    if style.rest_frame:
        values = np.concatenate([np.zeros_like(values[:1]), values])
        values[0, :3] = values[1, :3]
    rows = [" ".join(f"{x:.6f}" for x in row) for row in values]
    head = [f"MOTION\nFrames: {len(values)}\nFrame Time: {fps}"]
    return "\n".join([*lines, *head, *rows]) + "\n"


def smpl_world(motion):
    """Returns (T, 22, 3, 3) orientations and (T, 22, 3) joints of a `Motion`."""
    turned = np.empty((len(motion.rotations), 22, 3, 3))
    placed = np.empty(turned.shape[:-1])
    for joint, parent in enumerate(PARENTS):
        local = Rotation.from_rotvec(motion.rotations[:, joint]).as_matrix()
        offset = np.array(SMPL22.offsets[joint])
        if parent < 0:
            turned[:, 0], placed[:, 0] = local, motion.translation + offset
        else:
            turned[:, joint] = turned[:, parent] @ local
            placed[:, joint] = placed[:, parent] + turned[:, parent] @ offset
    return turned, placed


def degrees_between(a, b):
    """Returns the angles between vectors."""
    a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b))
    return np.degrees(np.arccos(np.clip((a * b).sum(-1), -1, 1)))


def turn_degrees(a, b):
    """Returns the angles between orientations."""
    return np.degrees(
        Rotation.from_matrix((np.swapaxes(a, -1, -2) @ b).reshape(-1, 3, 3)).magnitude()
    ).reshape(a.shape[:-2])
