"""Motion representations that networks and metrics read, with their inverses.

`rot_velocity` (135 columns) is for TEMOS and TEACH, `pose6d` (150) for MotionCLIP, and
`rifke` (64), on the joints of `mmm`, for the published metrics. `normalizer` scales any
of them.
"""
