"""Words for the moves of the torso and the head, as in `synthetic_words_gaits`."""

TRUNK_WORDS = {
    "bow": {
        "gist": "bows [forward|from the hips]",
        "idea": "a bow is a polite [greeting|thank-you]",
        "legs": "The legs stay [straight|nearly straight] and the hips move back a"
        " little.",
        "torso": "The torso bends forward from the hips until it is [low|nearly"
        " level], and rises again.",
        "arms": "The arms [hang|stay] close to the thighs.",
        "head": "The head sinks with the torso, the eyes [on the floor|down].",
        "terse": "torso bends forward from the hips; head sinks; rises again; legs"
        " straight",
    },
    "touch_toes": {
        "gist": "folds forward and reaches for the toes",
        "idea": "it is a [test|stretch] of flexibility",
        "legs": "The legs stay [almost straight|nearly straight] and the hips move"
        " back.",
        "torso": "The torso bends forward from the hips as [far|deep] as it goes, and"
        " rises again.",
        "arms": "Both arms reach forward and down until the hands are [near|close to]"
        " the feet.",
        "head": "The head hangs [down|between the arms].",
        "terse": "torso folds far forward; hands reach down to the feet; rises again;"
        " legs straight",
    },
    "stretch_up": {
        "gist": "stretches both arms [high overhead|towards the ceiling] and rises on"
        " the toes",
        "idea": "a good stretch feels [pleasant|fine] in the morning",
        "feet": "Both heels lift so that the body [stands|rises] on the balls of the"
        " feet.",
        "torso": "The torso lengthens and [arches|leans] slightly back.",
        "arms": "Both arms swing out to the sides and up until the hands meet"
        " overhead, then [sink|come down] again.",
        "head": "The head tips back and the eyes look up.",
        "terse": "arms swing out and up; hands meet overhead; heels lift; head tips"
        " back",
    },
    "bend_side": {
        "gist": "bends the torso to the {side} side",
        "idea": "a side bend is a [stretch|gymnastic movement]",
        "torso": "The torso [leans|bends] to the {side} until the {side} ribs are"
        " close to the {side} hip, and comes upright again.",
        "arms": "The {side} hand rests on the hip while the opposite arm"
        " [reaches|arches] over the head.",
        "head": "The head tilts to the {side}.",
        "terse": "torso leans to the {side}; {side} hand on hip; opposite arm over the"
        " head",
    },
    "lookout": {
        "gist": "shades the eyes with the {side} hand and looks around",
        "idea": "one searches for what is [far off|hard to see]",
        "arms": "The {side} elbow bends out to the side and the flat {side} hand rises"
        " to the brow and [stays|is held] there.",
        "rest": "The other arm [hangs|stays] at the side.",
        "torso": "The torso turns a little with the head.",
        "head": "The head turns slowly from one side to the other.",
        "terse": "{side} hand at the brow; {side} elbow bent; head turns from side to"
        " side",
    },
    "look": {
        "gist": "looks to the {side}",
        "idea": "looking aside means that something [drew the eye|is there]",
        "head": "The head turns [far|well] to the {side}, [stays|waits] there, and"
        " comes back to the front.",
        "torso": "The torso turns [only a little|slightly] to the {side} with the"
        " head.",
        "terse": "head turns to the {side}; holds; comes back to the front",
    },
    "nod": {
        "gist": "nods the head",
        "idea": "agreement needs few [words|signs]",
        "head": "The head tips down and up [several times|again and again], the chin"
        " moving towards the chest.",
        "pace": "The nods are [small and even|clear and regular].",
        "terse": "head tips down and up; repeated; body still",
    },
    "shake_head": {
        "gist": "shakes the head",
        "idea": "not everybody shares the same [opinion|view]",
        "head": "The head turns from side to side [several times|again and again]"
        " while the chin stays level.",
        "pace": "The turns are [quick and even|clear and regular].",
        "terse": "head turns from side to side; repeated; body still",
    },
    "twist": {
        "gist": "twists the torso from side to side",
        "idea": "twisting is a [gymnastic|morning] exercise",
        "torso": "The torso twists to one side and to the other [several times|again"
        " and again] while the hips stay [still|in front].",
        "arms": "The elbows are bent at chest height and the hands stay before the"
        " chest.",
        "terse": "torso twists from side to side; elbows bent; hands before the chest",
    },
    "shrug": {
        "gist": "shrugs the shoulders",
        "idea": "nobody knows [everything|every answer]",
        "arms": "Both shoulders lift towards the ears, the elbows bend, and the hands"
        " [open|turn out] in front, then all sinks again.",
        "head": "The head tilts to one side.",
        "terse": "shoulders lift; elbows bend, hands open in front; head tilts; then"
        " lowered",
    },
}
