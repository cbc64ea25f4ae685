"""Motion representations that networks and metrics read, with their inverses.

`rot_velocity` (135 columns: TEMOS, TEACH), `pose6d` (150: MotionCLIP), `rifke` (64) on
the joints of `mmm` (published metrics); `normalizer` scales any of them.
"""
