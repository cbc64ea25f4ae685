"""Moves of the torso and the head; they lie over any move of the legs.

Every move is a function of (take, side) that writes into the take; `side` is 0 for
left, 1 for right and means nothing to moves without sides.
"""

from actiongpt_jax.synthetic.rig import OUT
from actiongpt_jax.synthetic.take import Take, visit

BOTH = (0, 1)


def bow(take: Take, side: int):
    """Bends forward at the hips with the arms at the sides."""
    down = take.person.size * take.curve(
        [(0.05, 0.0), (0.42, 1.0), (0.58, 1.0), (0.95, 0.0)]
    )
    take.controls["pelvis"][:, 0] += 0.55 * down
    take.controls["torso"][:, 0] += 0.5 * down
    take.controls["head"][:, 0] += 0.3 * down
    take.controls["shift"][:, 2] -= 0.09 * down
    for arm in BOTH:
        take.controls["hands"][:, arm, 2] += 0.25 * down


def touch_toes(take: Take, side: int):
    """Folds forward until the hands are at the feet."""
    down = take.curve([(0.05, 0.0), (0.45, 1.0), (0.6, 1.0), (0.97, 0.0)])
    take.controls["pelvis"][:, 0] += 1.2 * down
    take.controls["torso"][:, 0] += 1.2 * down
    take.controls["shift"][:, 1] -= 0.06 * down
    take.controls["head"][:, 0] += 0.25 * down
    take.controls["shift"][:, 2] -= 0.16 * down
    pose = ((-0.12, 0.68, 0.7), (0.6, 0.2, -0.8))
    for arm in BOTH:
        take.arm(arm, visit(pose, "forward", 0.45, 0.6))


def stretch_up(take: Take, side: int):
    """Reaches for the ceiling with both hands and rises to the toes."""
    for arm in BOTH:
        take.arm(arm, visit("clasped_up", "side", 0.42, 0.7))
    up = take.curve([(0.15, 0.0), (0.45, 1.0), (0.68, 1.0), (0.92, 0.0)])
    take.controls["heel"] += 0.45 * up[:, None]
    take.controls["shift"][:, 1] += 0.05 * up
    take.controls["torso"][:, 0] -= 0.15 * up
    take.controls["head"][:, 0] -= 0.35 * up
    take.controls["shoulders"] += 0.25 * up[:, None]


def bend_side(take: Take, side: int):
    """Bends the torso to a side; the arm of the other side goes over the head."""
    over = ((-0.3, 0.9, 0.05), (1.0, 0.3, 0.1))
    take.arm(1 - side, visit(over, "side", 0.44, 0.64))
    take.arm(side, [(0.05, "hang"), (0.4, "hip"), (0.66, "hip"), (1.0, "hang")])
    amount = -OUT[side] * take.person.size
    down = [(0.1, 0.0), (0.45, 1.0), (0.65, 1.0), (0.95, 0.0)]
    take.add("torso", 2, [(u, 0.8 * amount * value) for u, value in down])
    take.add("head", 2, [(u, 0.25 * amount * value) for u, value in down])
    take.add("shift", 0, [(u, -0.07 * OUT[side] * value) for u, value in down])


def lookout(take: Take, side: int):
    """Shades the eyes with a hand while the head sweeps from side to side."""
    take.arm(side, visit("brow", "front", 0.26, 0.8))
    sweep = take.beat(0.45, 0.2, 0.9)
    take.controls["head"][:, 1] += 0.6 * sweep
    take.controls["torso"][:, 1] += 0.25 * sweep


def look(take: Take, side: int):
    """Turns the head to a side and back."""
    turn = [(0.08, 0.0), (0.35, 1.0), (0.7, 1.0), (0.95, 0.0)]
    take.add("head", 1, [(u, 0.95 * OUT[side] * value) for u, value in turn])
    take.add("torso", 1, [(u, 0.2 * OUT[side] * value) for u, value in turn])


def nod(take: Take, side: int):
    """Lowers and lifts the head a few times."""
    take.controls["head"][:, 0] += 0.12 * take.hold(0.2, 0.85)
    take.controls["head"][:, 0] += 0.28 * take.person.size * take.beat(1.5, 0.08, 0.95)


def shake_head(take: Take, side: int):
    """Turns the head left and right a few times."""
    take.controls["head"][:, 1] += 0.5 * take.person.size * take.beat(1.4, 0.08, 0.95)


def twist(take: Take, side: int):
    """Turns the torso left and right, elbows bent, hands before the chest."""
    for arm in BOTH:
        pose = ((-0.18, -0.15, 0.5), (1.0, 0.0, -0.1))
        take.arm(arm, [(0.0, "hang"), (0.18, pose), (0.85, pose), (1.0, "hang")])
    take.controls["torso"][:, 1] += 0.75 * take.person.size * take.beat(0.8, 0.1, 0.92)


def shrug(take: Take, side: int):
    """Lifts both shoulders to the ears and turns the palms out."""
    held = take.curve([(0.08, 0.0), (0.35, 1.0), (0.6, 1.0), (0.9, 0.0)])
    take.controls["shoulders"] += 0.4 * held[:, None]
    pose = ((0.35, -0.5, 0.5), (0.1, -0.6, -1.0))
    for arm in BOTH:
        take.arm(arm, [(0.05, "hang"), (0.35, pose), (0.62, pose), (0.95, "hang")])
    take.controls["head"][:, 2] += 0.15 * held


TRUNK_MOVES = {
    "bow": bow,
    "touch_toes": touch_toes,
    "stretch_up": stretch_up,
    "bend_side": bend_side,
    "lookout": lookout,
    "look": look,
    "nod": nod,
    "shake_head": shake_head,
    "twist": twist,
    "shrug": shrug,
}
