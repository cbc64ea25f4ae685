"""Words for the moves that travel.

`[a|b]` is a choice; {side} is the move's side. `gist` completes "The person ...",
`idea` says what the action is without the body, `terse` is notes of the second writer,
`rest` is about the other arm, and what else there is are sentences limb by limb.
"""

GAIT_WORDS = {
    "stand": {
        "gist": "stands in place",
        "legs": "The legs stay [nearly straight|straight but relaxed|long and still]"
        " and the knees are [soft|unlocked].",
        "feet": "Both feet [stay planted|rest flat|remain flat] on the floor about hip"
        " width apart.",
        "terse": "feet planted; legs straight",
    },
    "walk": {
        "gist": "walks [straight ahead|forward] at [a normal|an even|a steady] pace",
        "idea": "walking is [an everyday way|the most common way] to get from one"
        " place to another",
        "legs": "One leg swings forward from the hip while the other pushes back, and"
        " the knees [bend and straighten|flex and extend] in turn.",
        "feet": "Each foot [lands|is set down] in front of the body, rolls onto the"
        " ball, and then the heel lifts.",
        "torso": "The torso stays upright and [turns slightly|twists a little] against"
        " the pelvis.",
        "arms": "The arms hang loosely and swing in [opposition|turn with the opposite"
        " leg].",
        "terse": "legs swing forward in turn; feet alternate; arms swing opposite;"
        " body moves forward",
    },
    "stroll": {
        "gist": "walks [forward slowly|slowly ahead] with short, unhurried steps",
        "idea": "walking slowly is a calm way to [move along|get somewhere without"
        " hurry]",
        "legs": "The legs swing forward one after the other in [slow|lazy], short"
        " steps with the knees bending only a little.",
        "feet": "Each foot [stays long|lingers] on the floor before its heel lifts.",
        "torso": "The torso is upright and sways [softly|gently] over the standing"
        " leg.",
        "arms": "The arms hang and [barely swing|swing only slightly].",
        "terse": "slow short steps; legs swing forward in turn; arms hardly swing",
    },
    "stride": {
        "gist": "walks forward [quickly|briskly|fast] with long steps",
        "idea": "walking quickly is what people do when they are [late|in a hurry]",
        "legs": "The legs swing forward in [long, fast|quick, wide] steps, the front"
        " knee extending before the foot lands.",
        "feet": "The back heel lifts early and the ball of the foot pushes"
        " [hard|firmly] off the floor.",
        "torso": "The torso stays upright and turns [clearly|visibly] with every step.",
        "arms": "The arms swing [far|strongly] forward and back, opposite to the legs.",
        "pace": "The steps follow each other [rapidly|in a fast rhythm].",
        "terse": "fast long steps; legs swing forward in turn; arms swing far",
    },
    "back": {
        "gist": "walks backwards with [small|short, careful] steps",
        "idea": "walking backwards means moving away from where one is"
        " [looking|facing]",
        "legs": "The legs reach back from the hip one after the other, and the knees"
        " bend [slightly|a little].",
        "feet": "Each foot is placed behind the body, [toes first|ball first], and"
        " then the weight moves onto it.",
        "torso": "The torso stays upright, still facing [ahead|the front].",
        "arms": "The arms hang at the sides and swing [very little|only slightly].",
        "terse": "steps backwards; legs reach behind in turn; body moves back",
    },
    "jog": {
        "gist": "jogs [forward|ahead] at [an easy|a relaxed] pace",
        "idea": "jogging is easy running for [exercise|warming up]",
        "legs": "The knees lift in turn and each leg pushes off so that both feet"
        " leave the floor [briefly|for a moment].",
        "feet": "Each foot lands under the body and the heel [rises|swings up] behind.",
        "torso": "The torso leans [slightly|a little] forward.",
        "arms": "The elbows are bent and the arms [pump|swing] forward and back at the"
        " sides.",
        "pace": "The steps are [quick and springy|light and bouncing].",
        "terse": "light running steps; knees lift in turn; elbows bent, arms pump",
    },
    "run": {
        "gist": "runs [forward|ahead] at [speed|a fast pace]",
        "idea": "running is the fastest way to travel [on foot|on two legs]",
        "legs": "The thighs [drive|lift] up in turn and the legs push off"
        " [hard|powerfully], with long strides through the air.",
        "feet": "Each foot lands on its ball and the heel [kicks up|swings up high]"
        " behind.",
        "torso": "The torso leans forward into the [run|movement].",
        "arms": "The elbows are bent sharply and the arms [pump|swing] fast forward"
        " and back.",
        "pace": "Everything happens in a [very fast|rapid] rhythm.",
        "terse": "fast running strides; thighs drive up; elbows bent, arms pump; torso"
        " leans forward",
    },
    "jog_in_place": {
        "gist": "[jogs|runs] in place",
        "idea": "warming up prepares the body for [sport|exercise]",
        "legs": "The knees lift in turn and the legs push off [lightly|softly] without"
        " travelling.",
        "feet": "Each foot [leaves|lifts off] the floor, the heel rises behind, and it"
        " lands on the same spot.",
        "torso": "The torso stays upright and [bounces a little|bobs up and down].",
        "arms": "The elbows are bent and the arms [pump|swing] forward and back at the"
        " sides.",
        "pace": "The rhythm is [quick|fast and even].",
        "terse": "running steps on the spot; knees lift in turn; elbows bent, arms"
        " pump",
    },
    "sidestep": {
        "gist": "[steps|moves] sideways to the {side}",
        "idea": "sidestepping is a way to [move to one side|make room] without turning",
        "legs": "The {side} leg opens to the {side} side, and the other leg"
        " [closes|draws up] beside it.",
        "feet": "The {side} foot steps first, then the trailing foot [follows|comes to"
        " meet it], again and again.",
        "torso": "The torso stays upright and keeps facing [ahead|the front] while the"
        " body travels to the {side}.",
        "arms": "The arms hang [quietly|relaxed] at the sides.",
        "terse": "side steps to the {side}; {side} foot opens; other foot closes;"
        " facing ahead",
    },
    "walk_turn": {
        "gist": "walks forward and [turns|curves] to the {side}",
        "idea": "walking round a corner changes the [direction|way] one is going",
        "legs": "The legs swing forward in turn, and every step is set a little"
        " further to the {side}.",
        "feet": "The toes point to the {side} as each foot [lands|is set down].",
        "torso": "The torso and hips [rotate|turn] to the {side} [together|step by"
        " step] until the body faces {side}.",
        "arms": "The arms swing [loosely|easily] opposite to the legs.",
        "terse": "walks forward; turns a quarter to the {side}; feet alternate; arms"
        " swing",
    },
    "circle": {
        "gist": "walks in a [full|whole|wide] circle to the {side}",
        "idea": "walking in a circle brings one back to [where one began|the start]",
        "legs": "The legs swing forward in turn, and step after step the path keeps"
        " curving to the {side}.",
        "feet": "Each foot lands turned a little to the {side} and [rolls|moves] onto"
        " its ball.",
        "torso": "The torso stays upright and [turns|rotates] steadily to the {side},"
        " all the way round.",
        "arms": "The arms swing [loosely|easily] opposite to the legs.",
        "terse": "walks a full circle; constant turn to the {side}; feet alternate;"
        " arms swing",
    },
    "turn": {
        "gist": "turns around to the {side} [on the spot|in place] until facing the"
        " other way",
        "idea": "turning around lets one see what is [behind|at one's back]",
        "legs": "The legs make [small|short] steps on the spot, the knees bending a"
        " little each time.",
        "feet": "The feet are lifted one after the other and set down turned"
        " [further|more] to the {side}.",
        "torso": "The hips and torso rotate to the {side} [together|as one] through"
        " half a circle.",
        "arms": "The arms [stay|hang] close to the sides.",
        "terse": "turns on the spot; half a turn to the {side}; small steps",
    },
    "march": {
        "gist": "marches forward [stiffly|firmly] with high knees",
        "idea": "marching is how [soldiers|troops] move on parade",
        "legs": "The knees lift [high|to nearly hip height] in turn, and each leg"
        " comes down straight and firm.",
        "feet": "Each foot rises well off the floor and [lands flat|stamps down] in a"
        " steady beat.",
        "torso": "The torso is [very upright|straight and proud], the chest out.",
        "arms": "The straight arms swing [far|high] forward and back, opposite to the"
        " legs.",
        "terse": "marching steps; knees lift high; straight arms swing far; torso"
        " upright",
    },
    "sneak": {
        "gist": "[creeps|sneaks] forward slowly, crouched low",
        "idea": "sneaking is moving without being [heard or seen|noticed]",
        "legs": "The knees stay [deeply|well] bent, and one leg after the other lifts"
        " and reaches forward in a slow step.",
        "feet": "Each foot rises high and is set down [softly|carefully].",
        "torso": "The torso bends [far|well] forward over the thighs.",
        "arms": "The elbows are bent and the hands are held [in front|before the"
        " chest].",
        "head": "The head is lifted so that the eyes look [ahead|forward].",
        "pace": "Every movement is [slow|slow and careful].",
        "terse": "slow crouched steps; knees bent; torso bent forward; feet lift high",
    },
    "tiptoe": {
        "gist": "walks forward on [tiptoes|the balls of the feet] with small steps",
        "idea": "tiptoeing is a quiet way to [walk|cross a room]",
        "legs": "The legs are [almost|nearly] straight and swing forward in small"
        " steps.",
        "feet": "The heels stay [high|lifted], and only the balls of the feet touch"
        " the floor.",
        "torso": "The torso is [tall|stretched] and upright.",
        "arms": "The arms are held a little [out to the sides|away from the body] for"
        " balance.",
        "terse": "small steps on the balls of the feet; heels lifted; arms out to the"
        " sides",
    },
    "step_over": {
        "gist": "walks forward and steps [high over something low|over an obstacle]",
        "idea": "an obstacle on the way has to be [crossed|passed] with care",
        "legs": "The legs swing forward in turn; then one knee lifts [high|well up],"
        " its leg passes over, and the other leg follows as high.",
        "feet": "Each foot [clears|passes over] the obstacle and lands beyond it.",
        "torso": "The torso stays upright over the [standing|supporting] leg.",
        "arms": "The arms swing [a little|slightly] for balance.",
        "terse": "walks forward; knees lift high in turn; feet pass over; lands beyond",
    },
}
