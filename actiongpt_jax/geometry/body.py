"""Skinned bodies: joints and surface vertices for given rotations and shape.

Source: SMPL (Loper et al. 2015): linear blend skinning with shape and pose blend
shapes.
"""

import pathlib
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.geometry import body_file, kinematics
from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.geometry.rotations import AnyArray
from actiongpt_jax.shapes import check_shape

# Vertices of SMPL's and SMPL-H's surface at the left and right heel.
_HEELS, _SMPL_VERTICES = (3387, 6787), 6890


@flax.struct.dataclass
class Body:
    """A body model with V vertices and J joints (24 in SMPL, 52 in SMPL-H).

    Attributes:
        v_template: (V, 3) vertices of the surface at rest for zero betas, metres.
        shapedirs: (V, 3, S) offset that each beta adds to the vertices.
        posedirs: (V, 3, 9 (J - 1)) offset that each entry of `rotation - identity`
            adds to the vertices, from joint 1 on, row by row.
        J_regressor: (J, V) weights with which vertices sum to the joints at rest.
        weights: (V, J) how much each joint moves each vertex; rows add up to 1.
        parents: index of each joint's parent, -1 for the root; every parent comes
            before its children.
        faces: (F, 3) triangles as rows of `v_template`, or None.
    """

    v_template: jax.Array | np.ndarray
    shapedirs: jax.Array | np.ndarray
    posedirs: jax.Array | np.ndarray
    J_regressor: jax.Array | np.ndarray
    weights: jax.Array | np.ndarray
    parents: tuple[int, ...] = flax.struct.field(pytree_node=False)
    faces: jax.Array | np.ndarray | None = None

    @property
    def num_joints(self) -> int:
        """Number of joints J."""
        return len(self.parents)

    @property
    def num_betas(self) -> int:
        """Number of shape coefficients S."""
        return self.shapedirs.shape[-1]


def load(path: str | pathlib.Path, gender: str | None = None) -> Body:
    """Reads a body model in its authors' format, without running code in the file.

    Args:
        path: an `.npz` or `.pkl` file of SMPL or SMPL-H, or a folder of such files.
        gender: 'neutral', 'male' or 'female' selects the file of a folder by its name
            or its folder's name; None if the folder has only one file.

    Returns:
        The body, float32.

    Raises:
        InputError: if the file cannot be read, is damaged, or would run code; if the
            folder has no such file or several.
    """
    fields = body_file.read(body_file.choose(pathlib.Path(path), gender))
    # The parent of the root differs from file to file.
    parents = (-1, *map(int, fields["kintree_table"][0, 1:]))
    arrays = {name: fields[name].astype(np.float32) for name in body_file.FLOATS}
    return Body(**arrays, parents=parents, faces=fields["f"].astype(np.int32))


def save(path: str | pathlib.Path, body: Body) -> None:
    """Writes a body as an `.npz` file that `load` reads, with SMPL's field names."""
    arrays: Any = {n: np.asarray(getattr(body, n)) for n in body_file.FLOATS}
    tree = np.array([body.parents, range(body.num_joints)])
    faces = np.zeros((0, 3), np.int32) if body.faces is None else body.faces
    with replaced(path) as new, new.open("wb") as file:
        np.savez(file, **arrays, kintree_table=tree, f=np.asarray(faces))


def heels(vertices: Float[AnyArray, "*batch V 3"]) -> Float[AnyArray, "*batch 2 3"]:
    """Picks the left and right heel from (..., 6890, 3) vertices of SMPL or SMPL-H.

    Raises:
        InputError: for a surface with another number of vertices.
    """
    axes, remedy = f"... {_SMPL_VERTICES} 3", "pass the surface of SMPL or SMPL-H"
    check_shape("vertices", vertices, axes, remedy=remedy)
    return vertices[..., list(_HEELS), :]


def skin(
    body: Body,
    rotations: Float[AnyArray, "*batch K 3 3"],
    translation: Float[AnyArray, "*batch 3"],
    betas: Float[AnyArray, "*shape S"] | None = None,
) -> tuple[Float[Array, "*batch J 3"], Float[Array, "*batch V 3"]]:
    """Poses a body and returns its joints and vertices.

    Args:
        body: the body model.
        rotations: (..., K, 3, 3) parent-relative, for the first K of the body's J
            joints; the other joints stay at rest.
        translation: (..., 3) metres; the root is at translation + rest root.
        betas: (..., S) shape coefficients, at most as many as the body has, with
            leading axes that broadcast to those of the rotations (such as one shape
            for all frames); None for the mean shape.

    Returns:
        (..., J, 3) joints and (..., V, 3) vertices, metres.

    Raises:
        InputError: if the shapes do not fit the body or each other.
    """
    rotations, translation = jnp.asarray(rotations), jnp.asarray(translation)
    _check(body, rotations, translation, betas)
    batch, num_rotations = rotations.shape[:-3], rotations.shape[-3]
    num_joints, num_vertices = body.num_joints, len(body.v_template)
    rest = jnp.eye(3, dtype=rotations.dtype)
    missing = jnp.broadcast_to(rest, (*batch, num_joints - num_rotations, 3, 3))
    rotations = jnp.concatenate([rotations, missing], -3)

    shaped = jnp.asarray(body.v_template)
    if betas is not None:
        betas = jnp.asarray(betas)
        added = _product(
            "vcs,...s->...vc", body.shapedirs[..., : betas.shape[-1]], betas
        )
        shaped = jnp.broadcast_to(shaped, added.shape) + added
    rest_joints = _product("jv,...vc->...jc", body.J_regressor, shaped)
    rest_joints = jnp.broadcast_to(rest_joints, (*batch, num_joints, 3))
    shaped = jnp.broadcast_to(shaped, (*batch, num_vertices, 3))
    parents = np.array(body.parents)
    # The offset of the root is measured from the origin.
    above = rest_joints[..., np.maximum(parents, 0), :].at[..., parents < 0, :].set(0)
    joints, turns = kinematics.place_joints(
        rotations, translation, rest_joints - above, body.parents
    )

    bends = (rotations - jnp.broadcast_to(rest, rotations.shape))[..., 1:, :, :]
    bends = bends.reshape(*batch, 9 * (num_joints - 1))
    vertices = shaped + _product("vcp,...p->...vc", body.posedirs, bends)
    # Each joint turns the surface about the joint's position at rest.
    moves = joints - rot.rotate(turns, rest_joints)
    affine = jnp.concatenate([turns, moves[..., None]], -1)
    affine = _product("vj,...jab->...vab", body.weights, affine)
    return joints, rot.rotate(affine[..., :3], vertices) + affine[..., 3]


def _product(subscripts: str, a: AnyArray, b: AnyArray) -> Array:
    # By default accelerators round to TF32, an error of 0.1 mm on a body.
    return jnp.einsum(subscripts, a, b, precision=jax.lax.Precision.HIGHEST)


def _check(body: Body, rotations: Array, translation: Array, betas) -> None:
    sizes = check_shape("rotations", rotations, "... K 3 3")
    if not 1 <= sizes["K"] <= body.num_joints:
        raise InputError(
            f"rotations must be of 1 to {body.num_joints} joints for this body, got "
            f"{sizes['K']}; pass the rotations of its first joints"
        )
    check_shape("translation", translation, "... 3", sizes)
    if betas is None:
        return
    batch, shape = sizes["..."], jnp.shape(betas)
    if not shape or not 1 <= shape[-1] <= body.num_betas:
        raise InputError(
            f"betas must have 1 to {body.num_betas} coefficients for this body, got "
            f"shape {shape}; leave out the coefficients that the body does not have"
        )
    if len(shape) - 1 > len(batch) or any(
        b not in (1, p) for b, p in zip(shape[-2::-1], batch[::-1], strict=False)
    ):
        raise InputError(
            f"betas must have leading axes that broadcast to {batch}, got shape "
            f"{shape}; give one shape for all poses or one for each"
        )
