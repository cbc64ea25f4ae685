"""Words for the moves of the legs and the pelvis, as in `synthetic_words_gaits`."""

LEG_WORDS = {
    "jump": {
        "gist": "jumps straight up [into the air|off the floor]",
        "idea": "jumping is leaving the ground by one's own [strength|force]",
        "legs": "The knees and hips bend into a crouch, then both legs"
        " [extend|straighten] at once and push the body up.",
        "feet": "Both feet leave the floor together, [toes last|toes pointing down],"
        " and land together with bending knees.",
        "torso": "The torso leans forward in the crouch and [straightens|lifts] in the"
        " air.",
        "arms": "Both arms swing back and then [fly|sweep] up overhead.",
        "terse": "crouch; both legs extend; both feet leave the floor; arms swing"
        " overhead; soft landing",
    },
    "jump_forward": {
        "gist": "jumps forward with both feet [together|at once]",
        "idea": "a standing long jump covers [distance|ground] in one leap",
        "legs": "The knees and hips bend into a crouch, then both legs [extend|push"
        " off] and throw the body forward.",
        "feet": "Both feet leave the floor together and land [further ahead|in front]"
        " with bending knees.",
        "torso": "The torso leans forward [before|at] the take-off and comes upright"
        " again after landing.",
        "arms": "Both arms swing back and then [sweep|swing] forward to shoulder"
        " height.",
        "terse": "crouch; both legs push off; body flies forward; arms swing forward;"
        " soft landing",
    },
    "frog": {
        "gist": "squats [deeply|low] and jumps forward with both feet",
        "idea": "a frog is a small animal that [leaps|lives near water]",
        "legs": "The knees and hips bend into a deep crouch, then both legs"
        " [extend|push off] and throw the body forward.",
        "feet": "Both feet leave the floor together and land [further ahead|in front]"
        " in a crouch.",
        "torso": "The torso leans [far|well] forward over the bent knees.",
        "arms": "The arms reach down between the knees, [hands low|hands near the"
        " floor].",
        "terse": "deep squat; hands low; both legs push off; body flies forward; lands"
        " in a crouch",
    },
    "hop": {
        "gist": "hops on the {side} leg [several times|again and again]",
        "idea": "hopping is jumping on one [foot|leg]",
        "legs": "The {side} knee bends and extends to push the body up, while the"
        " other knee stays [bent|folded] in the air.",
        "feet": "The {side} foot leaves the floor and lands on [its ball|the toes], a"
        " little ahead each time.",
        "torso": "The torso stays upright over the {side} foot and [bobs|bounces] up"
        " and down.",
        "arms": "The arms are held out to the sides for balance.",
        "terse": "hops; all on the {side} leg; {side} knee bends and pushes; other"
        " foot lifted; arms out to the sides",
    },
    "jacks": {
        "gist": "jumps the feet apart and together while the arms go up and down",
        "idea": "this is a [well-known|simple] gymnastic exercise for the whole body",
        "legs": "Both legs [jump|spring] wide apart to the sides and then close again.",
        "feet": "Both feet leave the floor [together|at once] and land on their balls.",
        "torso": "The torso stays upright and [bounces|moves up and down].",
        "arms": "The straight arms swing out to the sides and overhead, then [come"
        " down|return] to the thighs.",
        "pace": "The jumps repeat in a [brisk|quick], even rhythm.",
        "terse": "feet jump apart and together; arms swing overhead and down; quick"
        " rhythm",
    },
    "squat": {
        "gist": "[squats|sinks] down and stands up again",
        "idea": "the squat is a [basic|classic] exercise for strength",
        "legs": "Both knees and hips bend until the thighs are [level|nearly level],"
        " then the legs extend.",
        "feet": "Both feet stay [flat|planted] on the floor.",
        "torso": "The torso leans forward as the hips move [back and down|down and"
        " back].",
        "arms": "Both arms [rise|reach] forward for balance and sink again.",
        "terse": "knees and hips bend; hips sink back and down; legs extend again;"
        " feet planted",
    },
    "lunge": {
        "gist": "steps [far|wide] forward with the {side} leg, sinks, and steps back",
        "idea": "a lunge is an exercise and a [fencer's attack|way to stretch]",
        "legs": "The {side} leg [swings|reaches] far forward and its knee bends until"
        " the {side} thigh is level, the rear leg stretched behind.",
        "feet": "The {side} foot lands flat in front while the rear heel [lifts|comes"
        " up]; at the end the {side} foot [returns|steps back].",
        "torso": "The torso stays upright and sinks [straight down|between the feet].",
        "arms": "Both hands rest on the hips, elbows out.",
        "terse": "long step forward with the {side} leg; {side} knee bends; hips sink;"
        " {side} foot steps back",
    },
    "kneel": {
        "gist": "kneels down on the {side} knee and [rises|stands up] again",
        "idea": "kneeling is a sign of [respect|devotion]",
        "legs": "The {side} leg steps back and bends until the {side} knee rests on"
        " the floor, the front thigh [level|horizontal].",
        "feet": "The {side} foot stands on its toes behind, the front foot stays"
        " [flat|planted] on the floor.",
        "torso": "The torso stays [upright|nearly upright] while the hips sink.",
        "arms": "One hand rests [near|on] the front thigh.",
        "terse": "{side} foot steps back; {side} knee to the floor; hips sink; rises"
        " again",
    },
    "sit": {
        "gist": "sits down on [a chair|a seat]",
        "idea": "to sit is to rest the body on [furniture|something]",
        "legs": "The knees and hips bend and the hips move back and down until the"
        " thighs are [level|horizontal].",
        "feet": "Both feet stay [flat|planted] on the floor.",
        "torso": "The torso leans forward on the way down and comes upright [again|at"
        " the end].",
        "arms": "The hands come to rest on the thighs.",
        "terse": "torso leans forward; hips sink back and down; knees bend; ends"
        " seated, hands on thighs",
    },
    "rise": {
        "gist": "[stands|gets] up from sitting",
        "idea": "getting up is how a [rest|meeting] ends",
        "legs": "The bent knees and hips extend and [push|lift] the body up until the"
        " legs are straight.",
        "feet": "Both feet stay [flat|planted] on the floor.",
        "torso": "The torso leans forward first and comes upright [as the hips rise|at"
        " the end].",
        "arms": "The hands leave the thighs and sink to the sides.",
        "terse": "starts seated; torso leans forward; knees and hips extend; ends"
        " standing",
    },
    "kick": {
        "gist": "kicks [forward|to the front] with the {side} leg",
        "idea": "a kick is a [strike|blow] of some force",
        "legs": "The {side} thigh lifts, the {side} knee bends, and then the {side}"
        " shin [snaps|swings] forward until the leg is straight.",
        "feet": "The {side} foot [reaches|rises to] about hip height in front, and the"
        " standing foot stays planted.",
        "torso": "The torso leans back [a little|slightly] against the leg.",
        "arms": "The opposite arm swings forward and the other back for balance.",
        "pace": "It is [one sharp movement|quick], and the {side} foot [is set"
        " down|returns] again.",
        "terse": "{side} thigh lifts; {side} shin snaps forward; {side} foot at hip"
        " height; torso leans back",
    },
    "kick_side": {
        "gist": "kicks out to the {side} side with the {side} leg",
        "idea": "a side kick is known from [martial arts|fighting sports]",
        "legs": "The {side} knee bends and lifts, and then the {side} leg"
        " [extends|drives] straight out to the {side} side.",
        "feet": "The {side} foot [reaches|rises to] about hip height at the side, and"
        " the standing foot stays planted.",
        "torso": "The torso leans away to the opposite side as the {side} leg"
        " [rises|opens].",
        "arms": "Both elbows are bent and the fists are held before the chest.",
        "terse": "{side} knee lifts; {side} leg extends out to the side; torso leans"
        " away; fists before the chest",
    },
    "raise_knee": {
        "gist": "lifts the {side} knee to hip height and lowers it",
        "idea": "lifting a knee is a small [exercise|test] of balance",
        "legs": "The {side} hip flexes and the {side} thigh lifts until it is level,"
        " the {side} shin [hanging|pointing] down.",
        "feet": "The {side} foot leaves the floor, [hangs|stays] below the knee, and"
        " is set down again.",
        "torso": "The torso stays upright over the [standing|supporting] leg.",
        "arms": "The arms hang [quietly|relaxed] at the sides.",
        "terse": "{side} thigh lifts level; {side} knee bent; {side} foot lowered"
        " again",
    },
    "balance": {
        "gist": "[balances|stands still] on the {side} leg",
        "idea": "standing on one leg is a [test|matter] of balance",
        "legs": "The {side} leg carries the whole weight, nearly straight, while the"
        " other knee is lifted and [bent|folded] outward.",
        "feet": "The {side} foot stays planted and the free foot [hangs|is held]"
        " beside the {side} knee.",
        "torso": "The torso is upright over the {side} foot and sways [a"
        " little|slightly].",
        "arms": "Both arms are spread out to the sides at shoulder height.",
        "terse": "stands on the {side} leg; other knee lifted; arms spread to the"
        " sides",
    },
}
