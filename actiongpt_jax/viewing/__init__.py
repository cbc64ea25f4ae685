"""Shows motions as pictures, videos and web pages, and exports them to other tools.

`plot`, `video` and `webpage` draw `figure`; videos can also show the mesh of a body
model. `figure.js` shades capsules in a page as `shading` does in a picture. `export`
writes glb, bvh, npz and json. `app/` is the browser application.
"""
