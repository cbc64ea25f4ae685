"""The phrases of the synthetic corpus and the moves that each is made of."""

import dataclasses

LEFT, RIGHT = 0, 1
SIDES = ("left", "right")


@dataclasses.dataclass(frozen=True)
class Phrase:
    """One action phrase.

    Attributes:
        text: the phrase.
        parts: (move, side) pairs; the first may be of the whole body, the others lie
            over it. Side is 0 left, 1 right, None where the move has none.
        seconds: shortest and longest duration at pace 1.
        categories: BABEL's coarse action categories.
        held_out: never in the training split, though its moves are.
    """

    text: str
    parts: tuple[tuple[str, int | None], ...]
    seconds: tuple[float, float]
    categories: tuple[str, ...]
    held_out: bool = False

    @property
    def sides(self) -> set[int]:
        """The sides its parts name."""
        return {side for _, side in self.parts if side is not None}

    @property
    def seated(self) -> tuple[bool, bool]:
        """Whether it starts and whether it ends on a chair."""
        names = {name for name, _ in self.parts}
        return "rise" in names, "sit" in names


def _phrase(text, parts, seconds, categories, held_out=False):
    pairs = []
    for part in parts.split(" + "):
        name, _, side = part.partition(" ")
        pairs.append((name, SIDES.index(side) if side else None))
    return Phrase(text, tuple(pairs), seconds, tuple(categories.split(", ")), held_out)


# Some surface forms say little about the body ("hail a taxi"): there the
# descriptions carry what the phrase does not.
PHRASES = (
    _phrase("walk forward", "walk", (2.2, 4.0), "walk"),
    _phrase("walk slowly", "stroll", (2.8, 4.5), "walk"),
    _phrase("walk quickly", "stride", (2.0, 3.2), "walk"),
    _phrase("walk backwards", "back", (2.4, 3.8), "walk, backwards movement"),
    _phrase("jog", "jog", (1.8, 3.0), "jog"),
    _phrase("run", "run", (1.7, 2.6), "run"),
    _phrase("sidestep to the left", "sidestep left", (2.0, 3.2), "sideways movement"),
    _phrase("sidestep to the right", "sidestep right", (2.0, 3.2), "sideways movement"),
    _phrase("walk and turn left", "walk_turn left", (2.4, 3.6), "walk, turn"),
    _phrase("walk and turn right", "walk_turn right", (2.4, 3.6), "walk, turn"),
    _phrase("walk in a circle to the left", "circle left", (4.4, 5.6), "walk, turn"),
    _phrase(
        "walk in a circle to the right", "circle right", (4.4, 5.6), "walk, turn", True
    ),
    _phrase("turn around to the left", "turn left", (1.8, 2.8), "turn"),
    _phrase("turn around to the right", "turn right", (1.8, 2.8), "turn"),
    _phrase("march like a soldier", "march", (2.4, 3.8), "march, walk"),
    _phrase("sneak like a thief", "sneak", (3.0, 4.5), "sneak, walk"),
    _phrase("walk on tiptoes", "tiptoe", (2.4, 3.6), "walk, tip toe"),
    _phrase("warm up the legs", "jog_in_place", (1.8, 3.0), "jog, exercise/training"),
    _phrase("step over an obstacle", "step_over", (2.6, 3.6), "step, walk"),
    _phrase("jump up", "jump", (1.7, 2.3), "jump"),
    _phrase("jump forward", "jump_forward", (1.7, 2.3), "jump"),
    _phrase("act like a frog", "frog", (1.8, 2.4), "jump, animal behavior", True),
    _phrase("hop on the right leg", "hop right", (2.2, 3.2), "hop"),
    _phrase("hop on the left leg", "hop left", (2.2, 3.2), "hop", True),
    _phrase("do jumping jacks", "jacks", (2.2, 3.6), "jump, exercise/training"),
    _phrase("squat", "squat", (1.8, 2.8), "squat"),
    _phrase("lunge with the left leg", "lunge left", (2.2, 3.0), "lunge"),
    _phrase("lunge with the right leg", "lunge right", (2.2, 3.0), "lunge"),
    _phrase("kneel on the left knee", "kneel left", (2.8, 3.8), "kneel"),
    _phrase(
        "propose marriage",
        "kneel right + reach_forward",
        (2.8, 3.8),
        "kneel, interact with/use object",
    ),
    _phrase("take a seat", "sit", (1.7, 2.6), "sit"),
    _phrase("stand up from the chair", "rise", (1.6, 2.4), "stand up"),
    _phrase("kick forward with the left leg", "kick left", (1.5, 2.2), "kick"),
    _phrase("kick forward with the right leg", "kick right", (1.5, 2.2), "kick"),
    _phrase(
        "kick to the side with the right leg", "kick_side right", (1.6, 2.4), "kick"
    ),
    _phrase(
        "kick to the side with the left leg", "kick_side left", (1.6, 2.4), "kick", True
    ),
    _phrase("lift the left knee", "raise_knee left", (1.6, 2.6), "leg movements"),
    _phrase("lift the right knee", "raise_knee right", (1.6, 2.6), "leg movements"),
    _phrase("balance on the left leg", "balance left", (2.4, 3.6), "balance"),
    _phrase("pose like a flamingo", "balance right", (2.4, 3.6), "balance"),
    _phrase("wave with the left hand", "stand + wave left", (1.9, 3.2), "wave"),
    _phrase("wave with the right hand", "stand + wave right", (1.9, 3.2), "wave"),
    _phrase("greet the crowd", "stand + wave_both", (1.9, 3.2), "wave, greet"),
    _phrase("punch with the right hand", "stand + punch right", (1.5, 2.2), "punch"),
    _phrase(
        "punch with the left hand", "stand + punch left", (1.5, 2.2), "punch", True
    ),
    _phrase("fight like a boxer", "stand + box", (2.4, 3.8), "punch, martial art"),
    _phrase(
        "raise the left arm", "stand + raise_arm left", (1.5, 2.4), "arm movements"
    ),
    _phrase(
        "raise the right arm", "stand + raise_arm right", (1.5, 2.4), "arm movements"
    ),
    _phrase("raise both arms", "stand + raise_arms", (1.5, 2.4), "arm movements"),
    _phrase("reach forward", "stand + reach_forward", (1.5, 2.4), "reach"),
    _phrase("spread the arms", "stand + spread_arms", (1.7, 2.8), "arm movements"),
    _phrase("throw with the right hand", "stand + throw right", (1.8, 2.5), "throw"),
    _phrase(
        "throw with the left hand", "stand + throw left", (1.8, 2.5), "throw", True
    ),
    _phrase("go bowling", "stand + bowl right", (2.0, 2.8), "throw, play sport"),
    _phrase("take a bow", "stand + bow", (1.8, 2.8), "bow"),
    _phrase("touch the toes", "stand + touch_toes", (2.2, 3.2), "bend, stretch"),
    _phrase("stretch after waking up", "stand + stretch_up", (2.2, 3.4), "stretch"),
    _phrase("bend to the left", "stand + bend_side left", (2.0, 3.0), "bend, stretch"),
    _phrase(
        "bend to the right", "stand + bend_side right", (2.0, 3.0), "bend, stretch"
    ),
    _phrase(
        "warm up the shoulders", "stand + arm_circles", (2.6, 4.0), "arm movements"
    ),
    _phrase("applaud", "stand + clap", (1.8, 3.0), "clap"),
    _phrase("drink from a cup", "stand + drink right", (2.4, 3.4), "drink"),
    _phrase("answer the phone", "stand + phone right", (1.8, 3.0), "telephone call"),
    _phrase("salute", "stand + salute right", (1.6, 2.4), "gesture"),
    _phrase("search the horizon", "stand + lookout right", (2.6, 4.0), "look"),
    _phrase("look to the left", "stand + look left", (1.5, 2.4), "look"),
    _phrase("look to the right", "stand + look right", (1.5, 2.4), "look"),
    _phrase("agree with someone", "stand + nod", (1.5, 2.4), "head movements"),
    _phrase(
        "disagree with someone", "stand + shake_head", (1.5, 2.4), "head movements"
    ),
    _phrase("visit the neighbours", "stand + knock right", (1.7, 2.4), "knock"),
    _phrase("act like a bird", "stand + flap", (2.2, 3.6), "animal behavior"),
    _phrase("twist the torso", "stand + twist", (2.4, 3.6), "twist"),
    _phrase("celebrate a goal", "stand + cheer", (2.0, 3.2), "arm movements"),
    _phrase("hail a taxi", "stand + taxi right", (1.9, 2.8), "gesture"),
    _phrase("play golf", "stand + golf", (2.2, 3.0), "play sport"),
    _phrase("be clueless", "stand + shrug", (1.5, 2.3), "shrug"),
    _phrase(
        "put the hands on the hips", "stand + hands_on_hips", (1.5, 2.4), "gesture"
    ),
    _phrase("cross the arms", "stand + cross_arms", (1.5, 2.4), "gesture"),
    _phrase(
        "point forward with the left hand", "stand + point left", (1.6, 2.5), "point"
    ),
    _phrase(
        "point forward with the right hand", "stand + point right", (1.6, 2.5), "point"
    ),
    _phrase(
        "walk and wave with the right hand",
        "walk + wave right",
        (2.4, 3.6),
        "walk, wave",
    ),
    _phrase(
        "walk and wave with the left hand",
        "walk + wave left",
        (2.4, 3.6),
        "walk, wave",
        True,
    ),
    _phrase(
        "walk with the hands on the hips",
        "walk + hands_on_hips",
        (2.4, 3.6),
        "walk, gesture",
    ),
    _phrase("walk and look to the left", "walk + look left", (2.4, 3.6), "walk, look"),
    _phrase(
        "walk backwards with the arms crossed",
        "back + cross_arms",
        (2.4, 3.6),
        "walk, backwards movement",
        True,
    ),
    _phrase("walk like a zombie", "stroll + reach_forward", (2.8, 4.2), "walk", True),
    _phrase("jog and clap the hands", "jog + clap", (2.0, 3.0), "jog, clap", True),
    _phrase(
        "sidestep to the left and clap the hands",
        "sidestep left + clap",
        (2.2, 3.2),
        "sideways movement, clap",
    ),
    _phrase(
        "squat and raise both arms", "squat + raise_arms", (2.0, 2.8), "squat", True
    ),
    _phrase(
        "lunge with the left leg and raise both arms",
        "lunge left + raise_arms",
        (2.2, 3.0),
        "lunge",
    ),
    _phrase(
        "march and salute", "march + salute right", (2.4, 3.6), "march, gesture", True
    ),
    _phrase(
        "sneak and look to the right", "sneak + look right", (3.0, 4.2), "sneak, look"
    ),
    # What a phrase alone cannot tell: words of no training phrase for moves that are
    # all trained, six alone and six combined anew.
    _phrase("thank the audience", "stand + bow", (1.8, 2.8), "bow", True),
    _phrase("catch the bus", "run", (1.7, 2.6), "run", True),
    _phrase("hurl a javelin", "stand + throw right", (1.8, 2.5), "throw", True),
    _phrase("stalk a deer", "sneak", (3.0, 4.2), "sneak, walk", True),
    _phrase("surrender", "stand + raise_arms", (1.5, 2.4), "arm movements", True),
    _phrase("clear a hurdle", "step_over", (2.6, 3.6), "step, walk", True),
    _phrase("scout the terrain", "walk + lookout right", (2.6, 3.8), "walk", True),
    _phrase("win the race", "run + raise_arms", (1.7, 2.6), "run", True),
    _phrase("talk on a mobile", "walk + phone right", (2.4, 3.6), "walk", True),
    _phrase("sulk", "stroll + cross_arms", (2.8, 4.0), "walk", True),
    _phrase("beg for mercy", "kneel left + reach_forward", (2.8, 3.8), "kneel", True),
    _phrase("patrol the border", "march + look left", (2.4, 3.6), "march", True),
)

# For benchmarks of composition: these occur in the validation split only, and every
# part of each occurs, on some side, in training.
HELD_OUT_PHRASES = tuple(phrase.text for phrase in PHRASES if phrase.held_out)
BY_TEXT = {phrase.text: phrase for phrase in PHRASES}


def _words(text):
    return {word.removesuffix("ed") for word in text.split()}


_TRAINED_WORDS = set().union(*(_words(p.text) for p in PHRASES if not p.held_out))
# Those of which some word occurs in no training phrase, so that a model of phrases has
# only the text encoder to tell it what is meant.
OPAQUE_PHRASES = tuple(
    text for text in HELD_OUT_PHRASES if not _words(text) <= _TRAINED_WORDS
)
