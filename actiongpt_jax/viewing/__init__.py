"""Motions as pictures, videos, web pages and files of other tools.

`plot`, `video` and `webpage` draw the `figure` or a body model's mesh; `export` writes
glb, bvh, npz and json; `app/` is the browser application.
"""
