"""Where motions are seen from: a camera that follows the pelvis over the floor."""

import dataclasses

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

# Seen from the front left and a little above: neither side hides the other.
AZIMUTH, ELEVATION = np.radians(35.0), np.radians(14.0)
DISTANCE = 7.0  # metres, of a lens as of a portrait
# Steps sway the pelvis; the camera follows its path over this many seconds.
_SMOOTH = 0.4
# A body is not drawn larger than if it filled this half-height, metres.
_LEAST_EXTENT = 1.05
_MARGIN = 1.12  # room for the body's thickness


@dataclasses.dataclass(frozen=True)
class Camera:
    """A perspective view of moving points.

    Attributes:
        targets: (T, 3) what each frame looks at, metres.
        azimuth: angle on the ground, from +x, of the way from target to camera.
        elevation: of the camera above the horizontal.
        extent: what of a plane through the target is seen above and below its
            centre, in metres.
    """

    targets: np.ndarray
    azimuth: float
    elevation: float = float(ELEVATION)
    extent: float = _LEAST_EXTENT

    def project(
        self, points: Float[np.ndarray, "*batch 3"], frame: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Projects points onto the picture.

        Args:
            points: (..., 3) metres in the z-up world.
            frame: whose target is looked at.

        Returns:
            (..., 2) places, right and down, the picture reaching from -1 to 1; and
            (...) how long a metre is there in the same unit, which also tells near
            (large) from far.
        """
        seen = (points - self.targets[frame]) @ self.axes.T
        scale = DISTANCE / self.extent / np.maximum(DISTANCE - seen[..., 2], 0.1)
        return seen[..., :2] * np.array([1.0, -1.0]) * scale[..., None], scale

    @property
    def axes(self) -> np.ndarray:
        """(3, 3) rows: the viewer's right, up, and towards the viewer."""
        cos, sin = np.cos(self.azimuth), np.sin(self.azimuth)
        low, high = np.cos(self.elevation), np.sin(self.elevation)
        right = np.array([-sin, cos, 0.0])
        near = np.array([cos * low, sin * low, high])
        return np.stack([right, np.cross(near, right), near])


def follow(points: Float[np.ndarray, "t n 3"], fps: float, heading: float) -> Camera:
    """Places a camera that keeps a motion in the picture.

    Args:
        points: (T, N, 3) of the body, the first one its pelvis.
        fps: frames per second.
        heading: where the body faces at first, from +x, radians.
    """
    ground = gaussian_filter1d(
        points[:, 0, :2].astype(np.float64), _SMOOTH * fps, axis=0, mode="nearest"
    )
    low, high = min(0.0, points[..., 2].min()), points[..., 2].max()
    height = np.full((len(points), 1), (low + high) / 2)
    camera = Camera(np.concatenate([ground, height], -1), heading + float(AZIMUTH))
    furthest = max(
        np.abs(camera.project(points[frame], frame)[0]).max()
        for frame in range(len(points))
    )
    extent = max(_LEAST_EXTENT, camera.extent * furthest * _MARGIN)
    return dataclasses.replace(camera, extent=extent)
