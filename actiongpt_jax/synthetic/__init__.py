"""The built-in corpus: motion, phrases and descriptions made by a program.

`corpus` writes it. `moves_*` animate a `take`, `rig` turns its controls into rotations,
`sequence` joins takes; `phrases`, `words_*` and `texts` are the language.
"""
