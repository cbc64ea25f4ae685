"""Rotations, skeletons, kinematics and interpolation on any leading axes."""
