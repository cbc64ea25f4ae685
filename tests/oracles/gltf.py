"""A glTF viewer in float64 numpy: accessors, node tree, animation and skin."""

import numpy as np

TYPES = {5126: np.float32, 5123: np.uint16, 5121: np.uint8}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def accessor(document, index):
    spec = document.accessors[index]
    view = document.bufferViews[spec.bufferView]
    dtype, width = np.dtype(TYPES[spec.componentType]), WIDTHS[spec.type]
    start = view.byteOffset + (spec.byteOffset or 0)
    assert start % dtype.itemsize == 0
    assert spec.count * width * dtype.itemsize <= view.byteLength
    blob = document.binary_blob()
    values = np.frombuffer(blob, dtype, spec.count * width, start)
    values = values.reshape(spec.count, width)
    np.testing.assert_array_equal(values.max(0), np.float32(spec.max))
    np.testing.assert_array_equal(values.min(0), np.float32(spec.min))
    return values


def quaternion_matrix(q):
    x, y, z, w = np.asarray(q, np.float64) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def world_matrices(document, frame=None):
    """Returns node index -> (4, 4) at a key frame of animation 0, or at rest."""
    local = {}
    for index, node in enumerate(document.nodes):
        turn = node.rotation or [0, 0, 0, 1]
        local[index] = [turn, node.translation or [0, 0, 0]]
    if frame is not None:
        animation = document.animations[0]
        for channel in animation.channels:
            sampler = animation.samplers[channel.sampler]
            value = accessor(document, sampler.output)[frame]
            local[channel.target.node][channel.target.path == "translation"] = value
    world = {}

    def visit(index, above):
        matrix = np.eye(4)
        matrix[:3, :3] = quaternion_matrix(local[index][0])
        matrix[:3, 3] = local[index][1]
        world[index] = above @ matrix
        for child in document.nodes[index].children or []:
            visit(child, world[index])

    for root in document.scenes[document.scene].nodes:
        visit(root, np.eye(4))
    return world


def skinned_vertices(document, frame):
    world = world_matrices(document, frame)
    skin = document.skins[0]
    inverse = accessor(document, skin.inverseBindMatrices).reshape(-1, 4, 4)
    moves = [
        world[joint] @ bind.T for joint, bind in zip(skin.joints, inverse, strict=True)
    ]
    attributes = document.meshes[0].primitives[0].attributes
    places = accessor(document, attributes.POSITION)
    joints = accessor(document, attributes.JOINTS_0)
    weights = accessor(document, attributes.WEIGHTS_0)
    return np.array(
        [
            sum(
                w * (moves[j] @ [*place, 1])[:3]
                for j, w in zip(vertex_joints, share, strict=True)
            )
            for place, vertex_joints, share in zip(places, joints, weights, strict=True)
        ]
    )
