"""A perspective camera that follows the pelvis along the floor."""

import dataclasses

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

# A view from the front left and slightly above, so that neither side hides the other.
AZIMUTH, ELEVATION = float(np.radians(35.0)), float(np.radians(14.0))
DISTANCE = 7.0  # metres; far enough for little perspective distortion
# Steps make the pelvis sway, so the camera follows a path smoothed over this time,
# in seconds.
_SMOOTH = 0.4
# The view covers at least this much above and below its target, metres.
_LEAST_EXTENT = 1.05
_MARGIN = 1.12  # room for the body's thickness


def view_axes(azimuth: float, elevation: float = ELEVATION) -> Float[np.ndarray, "3 3"]:
    """Returns the viewer's axes as rows: right, up, and towards the viewer.

    Args:
        azimuth: direction on the ground from the target to the viewer, radians from +x.
        elevation: angle of the viewer above the horizontal, radians.
    """
    cos, sin = np.cos(azimuth), np.sin(azimuth)
    low, high = np.cos(elevation), np.sin(elevation)
    right, near = np.array([-sin, cos, 0.0]), np.array([cos * low, sin * low, high])
    return np.stack([right, np.cross(near, right), near])


@dataclasses.dataclass(frozen=True)
class Camera:
    """A perspective view of moving points.

    Attributes:
        targets: (T, 3) the point that the camera looks at in each frame, metres.
        azimuth: direction on the ground from target to camera, radians from +x.
        extent: visible distance above and below the target, at its depth, metres.
    """

    targets: np.ndarray
    azimuth: float
    extent: float = _LEAST_EXTENT

    def project(
        self, points: Float[np.ndarray, "*batch 3"], target: Float[np.ndarray, "3"]
    ) -> tuple[Float[np.ndarray, "*batch 2"], Float[np.ndarray, "*batch"]]:
        """Projects points onto the picture.

        Args:
            points: (..., 3) metres in the z-up world.
            target: the point that the camera looks at, such as one of `targets`.

        Returns:
            (..., 2) picture coordinates (right, down), from -1 to 1 inside the picture;
            and (...) the length of a metre at each point in the same unit, which is
            larger for nearer points.
        """
        seen = (points - target) @ view_axes(self.azimuth).T
        scale = DISTANCE / self.extent / np.maximum(DISTANCE - seen[..., 2], 0.1)
        return seen[..., :2] * np.array([1.0, -1.0]) * scale[..., None], scale


def follow(points: Float[np.ndarray, "t n 3"], fps: float, heading: float) -> Camera:
    """Places a camera that keeps a motion in the picture.

    Args:
        points: (T, N, 3) points of the body, metres; point 0 is the pelvis.
        fps: frames per second.
        heading: direction that the body faces in frame 0, radians from +x.
    """
    ground = gaussian_filter1d(
        points[:, 0, :2].astype(np.float64), _SMOOTH * fps, axis=0, mode="nearest"
    )
    low, high = min(0.0, points[..., 2].min()), points[..., 2].max()
    height = np.full((len(points), 1), (low + high) / 2)
    camera = Camera(np.concatenate([ground, height], -1), heading + AZIMUTH)
    furthest = max(
        np.abs(camera.project(body, target)[0]).max()
        for body, target in zip(points, camera.targets, strict=True)
    )
    extent = max(_LEAST_EXTENT, camera.extent * furthest * _MARGIN)
    return dataclasses.replace(camera, extent=extent)
