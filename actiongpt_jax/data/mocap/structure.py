"""Recognises the joints of a skeleton by its structure, whatever their names are.

A body has two joints from which a pair of like branches leaves: legs at the pelvis, and
arms at the chest. The two longest bones of a limb follow each other, and the feet tell
forward from backward and so left from right.
"""

import dataclasses
import itertools

import numpy as np
from jaxtyping import Float

from actiongpt_jax.data.mocap.capture import Capture

_FRAMES = 40  # number of frames that are looked at
# Branches are alike if their bones differ by less than this share of their length.
_ALIKE = 0.12
# A limb is at least this share of the longest way from the root to a tip.
_LIMB = 0.35
# Bones shorter than this share of that way only hold other joints.
_BONE = 0.01
# Thigh, shin, upper arm and forearm are at least this share of their limb's longest.
_LONG = 0.5
# A joint that bends less than this while others move is a twist joint, radians.
_STIFF = np.radians(0.5)
_MOVING = np.radians(5.0)


@dataclasses.dataclass(frozen=True)
class _Limb:
    """The joints of a limb; `before` and `after` are None if it has none there."""

    before: int | None
    start: int
    middle: int
    end: int
    after: int | None


def joints_by_structure(capture: Capture) -> dict[str, int] | None:
    """Finds the joints that play SMPL's, except the spine, without their names.

    Args:
        capture: the recording.

    Returns:
        SMPL joint name -> index of the joint; None if the skeleton is not that of a
        body with a head, two arms and two legs.
    """
    tree = _Tree(capture)
    pairs = dict(sorted(tree.pairs().items(), key=lambda pair: -pair[1][0])[:2])
    if len(pairs) < 2:
        return None
    first, second = pairs
    shared = set(capture.ancestors(first)) & set(capture.ancestors(second))

    def distance(hub: int) -> float:
        between = set(capture.ancestors(hub)) - shared
        return sum(tree.lengths[joint] for joint in between)

    # The pelvis is nearer to the joint below which both are, usually that joint.
    pelvis, chest = sorted(pairs, key=distance)
    legs = tree.limbs(pelvis, pairs[pelvis][1])
    arms = tree.limbs(chest, pairs[chest][1])
    found = tree.neck_and_head(chest, [chain[0] for chain in pairs[chest][1]])
    if not legs or not arms or not found:
        return None
    found["pelvis"] = pelvis
    up = tree.places[:, chest] - tree.places[:, pelvis]
    left = np.cross(up, tree.forward(legs))
    for limbs, names in (
        (legs, ("", "hip", "knee", "ankle", "foot")),
        (arms, ("collar", "shoulder", "elbow", "wrist", "")),
    ):
        across = tree.places[:, limbs[0].start] - tree.places[:, limbs[1].start]
        ordered = limbs if (across * left).sum() > 0 else limbs[::-1]
        for side, limb in zip(("left", "right"), ordered, strict=True):
            for name, joint in zip(names, dataclasses.astuple(limb), strict=True):
                if name and joint is not None:
                    found[f"{side}_{name}"] = joint
    return found


class _Tree:
    """A skeleton with the lengths of its bones and some of its poses."""

    def __init__(self, capture: Capture):
        count = len(capture.joints)
        step = max(len(capture.values) // _FRAMES, 1)
        self.capture = capture
        self.places = capture.world(range(count), slice(None, None, step))[1]
        self.lengths = np.zeros(count)  # of the bone from its parent to each joint
        self.children: list[list[int]] = [[] for _ in range(count)]
        for joint, parent in enumerate(capture.parents):
            if parent >= 0:
                self.children[parent].append(joint)
                bone = self.places[:, joint] - self.places[:, parent]
                self.lengths[joint] = np.median(np.linalg.norm(bone, axis=-1))
        joint = 0
        while len(self.children[joint]) == 1:  # joints that only place the body
            joint = self.children[joint][0]
            self.lengths[joint] = 0.0
        self.reach = self.lengths.copy()  # from its parent to the farthest tip
        for joint in reversed(range(count)):
            below = [self.reach[child] for child in self.children[joint]]
            self.reach[joint] += max(below, default=0.0)
        self.size = self.reach.max()

    def pairs(self) -> dict[int, tuple[float, tuple[list[int], list[int]]]]:
        """Returns hub -> (length, both chains) of its most alike pair of limbs."""
        found = {}
        for hub, children in enumerate(self.children):
            limbs = [c for c in children if self.reach[c] > _LIMB * self.size]
            best = _ALIKE
            for a, b in itertools.combinations(limbs, 2):
                chains = self._chain(a), self._chain(b)
                difference = self._difference(*chains) / self.reach[a]
                if difference < best:
                    best = difference
                    found[hub] = float(self.reach[a]), chains
        return found

    def limbs(self, hub: int, chains: tuple[list[int], list[int]]) -> list[_Limb]:
        """Finds the bones of a pair of limbs; empty if a limb has too few of them."""
        groups = [self._groups(hub, chain) for chain in chains]
        if len(groups[0]) == len(groups[1]):
            # A joint that stays straight on one side only is an elbow held straight.
            stiff = self._stiff(groups[0]) & self._stiff(groups[1])
            groups = [
                [group for group, twist in zip(side, stiff, strict=True) if not twist]
                for side in groups
            ]
        found = [self._limb(hub, side) for side in groups]
        return [limb for limb in found if limb is not None] if all(found) else []

    def _limb(self, hub: int, groups: list[list[int]]) -> _Limb | None:
        """Finds the last two long bones that follow each other."""
        places = np.stack([self.places[:, group[-1]] for group in groups], 1)
        bones = np.linalg.norm(np.diff(places, axis=1), axis=-1).mean(0)
        long = bones > _LONG * bones.max()
        # A thigh that begins at the hub itself has no joint of its own.
        starts = [
            i
            for i in range(len(groups) - 2)
            if long[i] and long[i + 1] and groups[i][-1] != hub
        ]
        # The last bone may be a hand that is not divided into fingers.
        joints = self.capture.joints
        inner = [i for i in starts if not joints[groups[i + 2][0]].is_tip]
        if not starts:
            return None
        i = (inner or starts)[-1]
        above = groups[i][-2] if len(groups[i]) > 1 else groups[i - 1][-1] if i else hub
        return _Limb(
            before=None if above == hub else above,
            start=groups[i][-1],
            middle=groups[i + 1][-1],
            end=groups[i + 2][0],
            after=groups[i + 3][0] if len(groups) > i + 3 else None,
        )

    def neck_and_head(self, chest: int, arms: list[int]) -> dict[str, int]:
        """Finds neck and head; empty if nothing but arms leaves the chest."""
        others = [child for child in self.children[chest] if child not in arms]
        if not others:
            return {}
        chain = self._chain(max(others, key=lambda child: self.reach[child]))
        chain = [joint for joint in chain if not self.capture.joints[joint].is_tip]
        # Below the head there may be eyes and a jaw.
        forks = [joint for joint in chain if len(self.children[joint]) > 1]
        if not chain:
            return {}
        head = forks[0] if forks else chain[-1]
        while head != chain[0] and self.lengths[head] < _BONE * self.size:
            head = self.capture.parents[head]
        return {"head": head} | ({"neck": chain[0]} if chain[0] != head else {})

    def forward(self, legs: list[_Limb]) -> Float[np.ndarray, "t 3"]:
        """Returns the direction in which the body faces: along the feet."""
        total = np.zeros_like(self.places[:, 0])
        for leg in legs:
            if leg.after is not None:
                total += self.places[:, leg.after] - self.places[:, leg.end]
            else:  # knees bend backward
                thigh = self.places[:, leg.middle] - self.places[:, leg.start]
                shin = self.places[:, leg.end] - self.places[:, leg.middle]
                along = (shin * thigh).sum(-1) / (thigh * thigh).sum(-1)
                total -= shin - along[:, None] * thigh
        return total

    def _chain(self, joint: int) -> list[int]:
        """Returns the longest way from a joint to a tip."""
        chain = [joint]
        while self.children[chain[-1]]:
            chain.append(max(self.children[chain[-1]], key=lambda c: self.reach[c]))
        return chain

    def _groups(self, hub: int, chain: list[int]) -> list[list[int]]:
        """Groups the joints of a chain that are at one place."""
        groups = [[hub]]
        for joint in chain:
            if self.lengths[joint] < _BONE * self.size:
                groups[-1].append(joint)
            else:
                groups.append([joint])
        return groups

    def _stiff(self, groups: list[list[int]]) -> np.ndarray:
        """Says which groups only twist while other joints of the limb bend."""
        places = np.stack([self.places[:, group[0]] for group in groups], 1)
        bones = np.diff(places, axis=1)
        bones /= np.linalg.norm(bones, axis=-1, keepdims=True)
        bends = np.arccos(np.clip((bones[:, 1:] * bones[:, :-1]).sum(-1), -1, 1))
        stiff = (bends.std(0) < _STIFF) & (bends.mean(0) < _MOVING)
        stiff &= (bends.std(0) > _MOVING).any()
        return np.concatenate([[False], stiff, [False]])

    def _difference(self, a: list[int], b: list[int]) -> float:
        rows = ([x for x in self.lengths[c] if x > _BONE * self.size] for c in (a, b))
        both = itertools.zip_longest(*rows, fillvalue=0.0)
        return sum(abs(x - y) for x, y in both)
