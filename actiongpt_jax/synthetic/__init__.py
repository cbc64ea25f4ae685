"""The built-in corpus: motion, phrases and descriptions made by a program.

`corpus` writes the files. The moves in `moves_*` animate the controls of a `take`,
`rig` turns controls into rotations, and `sequence` joins takes. `phrases`, `words` and
`texts` make the phrases and their descriptions.
"""
