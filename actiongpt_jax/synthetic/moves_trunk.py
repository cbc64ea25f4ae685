"""Moves of the torso and the head, which can be added to any move of the legs.

Every move is a function of (take, side) that changes the controls of the take; `side`
is 0 for left, 1 for right, and is ignored by moves without sides.
"""

from actiongpt_jax.synthetic.rig import ACROSS, AHEAD, LEAN, OUT, PITCH, TURN, UP
from actiongpt_jax.synthetic.take import Take, visit, visit_past


def bow(take: Take, side: int):
    """Bends forward at the hips with the arms at the sides."""
    down = take.person.size * take.curve({0.05: 0, 0.42: 1, 0.58: 1, 0.95: 0})
    take.pelvis[:, PITCH] += 0.55 * down
    take.torso[:, PITCH] += 0.5 * down
    take.head[:, PITCH] += 0.3 * down
    take.shift[:, AHEAD] -= 0.09 * down
    take.hands[:, :, AHEAD] += 0.25 * down[:, None]


def touch_toes(take: Take, side: int):
    """Folds forward until the hands are at the feet."""
    down = take.curve({0.05: 0, 0.45: 1, 0.6: 1, 0.97: 0})
    take.pelvis[:, PITCH] += 1.2 * down
    take.torso[:, PITCH] += 1.2 * down
    take.head[:, PITCH] += 0.25 * down
    take.shift[:, UP] -= 0.06 * down
    take.shift[:, AHEAD] -= 0.16 * down
    toes = ((-0.12, 0.68, 0.7), (0.6, 0.2, -0.8))
    take.arms(visit_past("forward", toes, 0.45, 0.6))


def stretch_up(take: Take, side: int):
    """Reaches for the ceiling with both hands and rises to the toes."""
    take.arms(visit_past("side", "clasped_up", 0.42, 0.7))
    up = take.curve({0.15: 0, 0.45: 1, 0.68: 1, 0.92: 0})
    take.heel += 0.45 * up[:, None]
    take.shift[:, UP] += 0.05 * up
    take.torso[:, PITCH] -= 0.15 * up
    take.head[:, PITCH] -= 0.35 * up
    take.shoulders += 0.25 * up[:, None]


def bend_side(take: Take, side: int):
    """Bends the torso to a side; the opposite arm goes over the head."""
    over = ((-0.3, 0.9, 0.05), (1.0, 0.3, 0.1))
    take.arm(1 - side, visit_past("side", over, 0.44, 0.64))
    take.arm(side, visit("hip", 0.4, 0.66, start=0.05))
    down = {0.1: 0, 0.45: 1, 0.65: 1, 0.95: 0}
    amount = -OUT[side] * take.person.size
    take.torso[:, LEAN] += take.curve(down, 0.8 * amount)
    take.head[:, LEAN] += take.curve(down, 0.25 * amount)
    take.shift[:, ACROSS] += take.curve(down, -0.07 * OUT[side])


def lookout(take: Take, side: int):
    """Shades the eyes with a hand while the head sweeps from side to side."""
    take.arm(side, visit_past("front", "brow", 0.26, 0.8))
    sweep = take.beat(0.45, 0.2, 0.9)
    take.head[:, TURN] += 0.6 * sweep
    take.torso[:, TURN] += 0.25 * sweep


def look(take: Take, side: int):
    """Turns the head to a side and back."""
    turn = {0.08: 0, 0.35: 1, 0.7: 1, 0.95: 0}
    take.head[:, TURN] += take.curve(turn, 0.95 * OUT[side])
    take.torso[:, TURN] += take.curve(turn, 0.2 * OUT[side])


def nod(take: Take, side: int):
    """Lowers and lifts the head a few times."""
    take.head[:, PITCH] += 0.12 * take.hold(0.2, 0.85)
    take.head[:, PITCH] += 0.28 * take.person.size * take.beat(1.5, 0.08, 0.95)


def shake_head(take: Take, side: int):
    """Turns the head left and right a few times."""
    take.head[:, TURN] += 0.5 * take.person.size * take.beat(1.4, 0.08, 0.95)


def twist(take: Take, side: int):
    """Turns the torso left and right, elbows bent, hands in front of the chest."""
    chest = ((-0.18, -0.15, 0.5), (1.0, 0.0, -0.1))
    take.arms(visit(chest, 0.18, 0.85))
    take.torso[:, TURN] += 0.75 * take.person.size * take.beat(0.8, 0.1, 0.92)


def shrug(take: Take, side: int):
    """Lifts both shoulders to the ears and turns the palms out."""
    held = take.curve({0.08: 0, 0.35: 1, 0.6: 1, 0.9: 0})
    take.shoulders += 0.4 * held[:, None]
    take.head[:, LEAN] += 0.15 * held
    palms_out = ((0.35, -0.5, 0.5), (0.1, -0.6, -1.0))
    take.arms(visit(palms_out, 0.35, 0.62, start=0.05, end=0.95))


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
