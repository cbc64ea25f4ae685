"""Readers of BVH and Acclaim files, and retargeting of their motion to SMPL."""
