"""Shows motions as pictures, videos and web pages, and exports them to other tools.

`plot`, `video` and `webpage` draw the skeleton or the capsules of `figure`; videos can
also show the mesh of a body model. `export` writes glb, bvh, npz and json. `app/` is
the browser application.
"""
