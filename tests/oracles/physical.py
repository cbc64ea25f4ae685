"""Physical figures in float64 numpy, motion by motion and frame by frame."""

import numpy as np

TOES = (10, 11)


def skating(joints, fps):
    """Returns T - 1 bools for joints (T, 22, 3): whether a foot skates."""
    joints = np.asarray(joints, np.float64)
    floor = min(joints[t, j, 2] for t in range(len(joints)) for j in TOES)
    reach = max(round((0.25 * fps - 1) / 2), 0)
    result = []
    for t in range(len(joints) - 1):
        skates = False
        for j in TOES:

            def speed(s, j=j):
                if not 0 <= s < len(joints) - 1:
                    return 0.0
                return fps * np.linalg.norm(joints[s + 1, j, :2] - joints[s, j, :2])

            touches = all(joints[s, j, 2] - floor < 0.05 for s in (t, t + 1))
            average = sum(speed(t + d) for d in range(-reach, reach + 1))
            average /= 2 * reach + 1
            skates |= touches and speed(t) > 0.5 and average > 0.5
        result.append(skates)
    return result


def jerk(joints, fps):
    """Returns T - 3 jerks in m/s^3 for joints (T, J, 3)."""
    x = np.asarray(joints, np.float64)
    result = []
    for t in range(len(x) - 3):
        third = x[t + 3] - 3 * x[t + 2] + 3 * x[t + 1] - x[t]
        result.append(max(sum(abs(c) for c in joint) for joint in third) * fps**3)
    return result


def figures(joints, fps, parents):
    """Returns name -> mean figure for joints (T, 22, 3)."""
    x = np.asarray(joints, np.float64)
    clearance = {7: 0.0758, 8: 0.0681, 10: 0.02, 11: 0.02}
    lowest = [min(frame[j, 2] - high for j, high in clearance.items()) for frame in x]
    floor = x[:, TOES, 2].min()
    slides = [
        np.linalg.norm(x[t + 1, j, :2] - x[t, j, :2])
        for t in range(len(x) - 1)
        for j in TOES
        if max(x[t, j, 2], x[t + 1, j, 2]) - floor < 0.05
    ]
    bones = [
        np.std([np.linalg.norm(frame[j] - frame[parent]) for frame in x])
        for j, parent in enumerate(parents)
        if parent >= 0
    ]
    return {
        "skating": np.mean(skating(x, fps)),
        "foot_slide": np.mean(slides),
        "penetration": np.mean([-low if low < -0.005 else 0.0 for low in lowest]),
        "floating": np.mean([low if low > 0.005 else 0.0 for low in lowest]),
        "jerk": np.mean(jerk(x, fps)),
        "bone_drift": np.mean(bones),
    }
