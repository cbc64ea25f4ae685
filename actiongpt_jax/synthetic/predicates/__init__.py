"""What must be seen of each phrase of the built-in corpus, in physical units.

`judge` says whether a motion does what a phrase says. `gaits`, `legs`, `arms` and
`trunk` hold one predicate per move, like the modules that animate the moves.
"""
