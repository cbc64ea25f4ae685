"""Words for the moves of the arms, as in `synthetic_words_gaits`."""

ARM_WORDS = {
    "wave": {
        "gist": "waves with the {side} hand",
        "idea": "waving is a friendly [greeting|gesture]",
        "arms": "The {side} arm lifts with a bent elbow until the {side} hand is"
        " beside the head, and the {side} forearm [sways|swings] out and in.",
        "rest": "The other arm [hangs|stays] at the side.",
        "pace": "The {side} hand moves from side to side several times.",
        "terse": "{side} hand raised beside the head; {side} elbow bent; {side}"
        " forearm sways out and in",
    },
    "wave_both": {
        "gist": "waves with both hands",
        "idea": "greeting many people at once takes a [big|clear] gesture",
        "arms": "Both arms lift with bent elbows until the hands are beside the head,"
        " and both forearms [sway|swing] out and in.",
        "pace": "The hands move from side to side [several times|again and again].",
        "terse": "both hands raised beside the head; elbows bent; forearms sway out"
        " and in",
    },
    "punch": {
        "gist": "punches forward with the {side} hand",
        "idea": "a punch is a blow from [boxing|fighting]",
        "arms": "Both fists come up before the face, then the {side} elbow extends and"
        " the {side} fist [shoots|drives] forward at shoulder height.",
        "rest": "The other fist stays [near|before] the face as a guard.",
        "torso": "The torso twists so that the {side} shoulder [moves|comes] forward"
        " with the fist.",
        "pace": "The {side} fist returns [at once|quickly] to the guard.",
        "terse": "fists before the face; {side} elbow extends; {side} fist shoots"
        " forward; torso twists",
    },
    "box": {
        "gist": "punches forward with left and right in turn",
        "idea": "boxers fight in a [ring|match] by rules",
        "legs": "The knees are bent and [bounce|spring] a little with the rhythm.",
        "arms": "Both fists are held before the face; first one elbow extends and the"
        " fist [shoots|drives] forward, then the other.",
        "torso": "The torso leans forward and twists from side to side with the"
        " [punches|fists].",
        "pace": "The blows follow each other in a [quick|steady] rhythm.",
        "terse": "fists before the face; left and right elbow extend in turn; torso"
        " twists; knees bounce",
    },
    "throw": {
        "gist": "throws [overarm|over the shoulder] with the {side} hand",
        "idea": "throwing sends an object [far away|through the air]",
        "feet": "The opposite foot steps forward and later [returns|steps back].",
        "arms": "The {side} hand is drawn back behind the head, whips forward over the"
        " {side} shoulder, and [sweeps|swings] down across the body.",
        "rest": "The other arm [points|reaches] forward at first.",
        "torso": "The torso twists back to the {side} and then [turns|twists] forward"
        " with the throw.",
        "terse": "{side} hand drawn back behind the head; {side} arm whips forward;"
        " torso twists; opposite foot steps forward",
    },
    "bowl": {
        "gist": "swings a straight {side} arm from behind to the front, low, and lets"
        " go",
        "idea": "bowling is a game with a [heavy ball|lane and pins]",
        "legs": "The knees bend a little as the hips sink.",
        "feet": "The opposite foot steps forward and later [returns|steps back].",
        "torso": "The torso bends [far|well] forward.",
        "arms": "The {side} arm swings back straight, then forward past the {side}"
        " thigh and [up in front|ahead] with an open hand.",
        "rest": "The other arm [hangs|stays] at the side.",
        "terse": "torso bent forward; {side} arm swings back; {side} arm swings"
        " forward, low; opposite foot steps forward",
    },
    "raise_arm": {
        "gist": "raises the {side} arm overhead",
        "idea": "raising an arm draws [attention|the eye]",
        "arms": "The {side} arm swings up in front, straight, until the {side} hand is"
        " [high overhead|above the head], and stays there.",
        "rest": "The other arm [hangs|stays] at the side.",
        "terse": "{side} arm swings up in front; {side} hand overhead; held there",
    },
    "raise_arms": {
        "gist": "raises both arms overhead",
        "idea": "raising the arms makes one [tall|visible]",
        "arms": "Both arms swing up in front, straight, until the hands are [high"
        " overhead|above the head], and stay there.",
        "terse": "both arms swing up in front; hands overhead; held there",
    },
    "reach_forward": {
        "gist": "[stretches|reaches] both arms forward",
        "idea": "reaching is done towards [something wanted|a thing ahead]",
        "arms": "Both arms lift in front with extended elbows until the hands are at"
        " shoulder height, [reaching|stretched] forward, and stay there.",
        "terse": "both arms lift in front; hands at shoulder height; elbows extended;"
        " held there",
    },
    "point": {
        "gist": "points [straight ahead|forward] with the {side} hand",
        "idea": "pointing shows others a [direction|place]",
        "arms": "The {side} arm lifts in front with an extended elbow until the {side}"
        " hand is at shoulder height, [then sinks|and later sinks].",
        "rest": "The other arm [hangs|stays] at the side.",
        "terse": "{side} arm lifts in front; {side} hand at shoulder height, pointing"
        " forward; then lowered",
    },
    "hands_on_hips": {
        "gist": "puts both hands on the hips",
        "idea": "it is a [stance|pose] of confidence",
        "arms": "Both elbows bend and point out to the sides while the hands [rest|are"
        " set] on the hips.",
        "terse": "hands on hips; elbows bent, out to the sides",
    },
    "cross_arms": {
        "gist": "crosses the arms [before|over] the chest",
        "idea": "it is a [closed|guarded] attitude",
        "arms": "Both elbows bend and the forearms fold [across|over] the chest, each"
        " hand near the opposite elbow.",
        "terse": "arms crossed; forearms folded over the chest; elbows bent",
    },
    "spread_arms": {
        "gist": "spreads both arms [wide|out] to the sides",
        "idea": "spreading the arms is a [wide|generous] gesture",
        "arms": "Both arms lift out to the sides with extended elbows until the hands"
        " are at shoulder height, then [sink|are lowered].",
        "terse": "both arms lift out to the sides; hands at shoulder height; then"
        " lowered",
    },
    "arm_circles": {
        "gist": "swings both arms in large circles",
        "idea": "warming up prepares the joints for [sport|work]",
        "arms": "Both straight arms circle [from the shoulders|in the shoulders],"
        " forward, overhead, back and down, over and over.",
        "pace": "The circles are [wide|large] and even.",
        "terse": "both straight arms circle; hands go forward, overhead, back and"
        " down; repeated",
    },
    "clap": {
        "gist": "claps the hands",
        "idea": "clapping shows [approval|pleasure]",
        "arms": "Both elbows are bent in front, and the hands [open|move apart] and"
        " come together before the chest again and again.",
        "pace": "The claps follow [quickly|in an even beat].",
        "terse": "hands meet before the chest; hands part; repeated; elbows bent",
    },
    "drink": {
        "gist": "lifts the {side} hand to the mouth as if drinking and lowers it",
        "idea": "drinking quenches the [thirst|need for water]",
        "arms": "The {side} elbow bends and the {side} hand rises in front to the"
        " mouth, holds there, and [sinks|goes down] again.",
        "rest": "The other arm [hangs|stays] at the side.",
        "head": "The head tips back [a little|slightly] and comes level again.",
        "terse": "{side} hand rises to the mouth; {side} elbow bent; head tips back;"
        " hand lowered",
    },
    "phone": {
        "gist": "holds the {side} hand to the ear",
        "idea": "a phone lets people talk over [a distance|long ways]",
        "arms": "The {side} elbow bends [sharply|tightly], and the {side} hand rises"
        " in front to the {side} ear and stays there.",
        "rest": "The other arm [hangs|stays] at the side.",
        "head": "The head tilts towards the {side} hand.",
        "terse": "{side} hand rises to the {side} ear; {side} elbow bent; head tilts;"
        " held there",
    },
    "salute": {
        "gist": "salutes with the {side} hand",
        "idea": "a salute is a military sign of [respect|greeting]",
        "torso": "The torso is [very upright|straight], the chest out.",
        "arms": "The {side} elbow bends out to the side and the flat {side} hand rises"
        " to the brow, holds there, and [sinks|goes down] again.",
        "rest": "The other arm [hangs|stays] at the side.",
        "terse": "{side} hand rises to the brow; {side} elbow bent, out to the side;"
        " held, then lowered",
    },
    "knock": {
        "gist": "knocks in front with the {side} hand",
        "idea": "a visit begins at the [front door|doorstep]",
        "arms": "The {side} elbow bends and the {side} fist is held up in front at"
        " head height, [tapping|knocking] forward quickly.",
        "rest": "The other arm [hangs|stays] at the side.",
        "pace": "The {side} fist taps several times and sinks.",
        "terse": "{side} fist held up in front; {side} elbow bent; fist taps forward,"
        " repeated",
    },
    "flap": {
        "gist": "flaps both arms up and down like wings",
        "idea": "a bird is an animal with [feathers|wings]",
        "legs": "The knees are [slightly|a little] bent.",
        "arms": "Both arms lift out to the sides with extended elbows and [beat|move]"
        " up and down around shoulder height.",
        "pace": "The arms beat [again and again|in a steady rhythm].",
        "terse": "both arms out to the sides; arms beat up and down; repeated",
    },
    "cheer": {
        "gist": "throws both fists up and pumps them in the air",
        "idea": "a goal makes the fans [happy|jump for joy]",
        "legs": "The knees [bounce|bend and extend a little] with the rhythm.",
        "arms": "Both arms lift until the fists are beside and above the head, and the"
        " elbows extend and [bend|fold] again and again.",
        "head": "The head tips back [a little|slightly].",
        "terse": "both fists above the head; arms pump up and down; knees bounce; head"
        " tips back",
    },
    "taxi": {
        "gist": "raises the {side} arm high in front and shakes the hand",
        "idea": "a taxi carries people through the [city|streets]",
        "arms": "The {side} arm swings up in front, nearly straight, until the {side}"
        " hand is [high|above the head], and the hand sways out and in.",
        "rest": "The other arm [hangs|stays] at the side.",
        "head": "The head turns [a little|slightly] to the {side}.",
        "terse": "{side} arm swings up in front; {side} hand high, sways out and in;"
        " head turns to the {side}",
    },
    "golf": {
        "gist": "swings both joined hands from low, up over the right shoulder, and"
        " through to the left",
        "idea": "golf is played with [clubs on a large lawn|a small ball]",
        "legs": "The knees are [slightly|a little] bent.",
        "arms": "Both hands are joined low in front, swing up over the right shoulder,"
        " and [sweep|swing] down and up to the left.",
        "torso": "The torso bends forward, twists to the right and then [far|well] to"
        " the left.",
        "terse": "hands joined low; swing up over the right shoulder; swing through to"
        " the left; torso twists",
    },
}
