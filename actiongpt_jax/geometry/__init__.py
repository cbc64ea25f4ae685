"""Rotations, skeletons, kinematics, bodies and interpolation on any leading axes.

`skeletons` has the built-in SMPL skeleton. `body` poses SMPL and SMPL-H meshes, which
`body_file` reads from their authors' files.
"""
