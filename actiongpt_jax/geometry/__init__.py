"""Rotations, skeletons, kinematics, bodies and interpolation on any leading axes.

`skeletons` has the built-in SMPL skeleton; `body` poses SMPL(-H) meshes that
`body_file` reads from the files of their authors.
"""
