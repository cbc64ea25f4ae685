// Draws a body of shaded capsules per pixel, as shading.py does for pictures and videos.
"use strict";
const drawFigure = (() => {
  const unit = (v) => { const l = Math.hypot(...v); return v.map((x) => x / l); };
  // From above and from the viewer's left. Axes: right, down, towards the viewer.
  const LIGHT = unit([-0.42, -0.58, 0.70]);
  const [LX, LY, LZ] = LIGHT, [HX, HY, HZ] = unit([LIGHT[0], LIGHT[1], LIGHT[2] + 1]);
  const STEEPEST = 0.95;
  const scratch = document.createElement("canvas");
  let pixels = new Uint8ClampedArray(0), depth = new Float32Array(0);

  // Draws one capsule into the window of `width` columns that starts at (left, top).
  function capsule(a, b, first, last, colour, left, top, width, height) {
    const dx = b[0] - a[0], dy = b[1] - a[1], dz = b[2] - a[2], widening = last - first;
    const square = Math.max(dx * dx + dy * dy, 1e-6), length = Math.sqrt(square);
    const slope = Math.max(-STEEPEST, Math.min(STEEPEST, widening / length));
    const lean = slope / Math.sqrt(1 - slope * slope) / length;
    const rise = dz / (length * Math.sqrt(square + dz * dz));
    const startX = Math.max(0, Math.floor(Math.min(a[0] - first, b[0] - last) - 1 - left));
    const startY = Math.max(0, Math.floor(Math.min(a[1] - first, b[1] - last) - 1 - top));
    const endX = Math.min(width - 1, Math.ceil(Math.max(a[0] + first, b[0] + last) + 1 - left));
    const endY = Math.min(height - 1, Math.ceil(Math.max(a[1] + first, b[1] + last) + 1 - top));
    const widest = Math.max(first, last) + 0.5, [red, green, blue] = colour;
    for (let row = startY; row <= endY; row++)
      for (let column = startX; column <= endX; column++) {
        const x = column + left + 0.5 - a[0], y = row + top + 0.5 - a[1];
        const away = Math.abs(x * dy - y * dx) / length;
        if (away >= widest) continue;
        // A capsule is a row of spheres. The one whose outline is nearest to the pixel
        // decides what is inside...
        const foot = (x * dx + y * dy) / square + lean * away;
        let place = foot < 0 ? 0 : foot > 1 ? 1 : foot;
        let radius = first + place * widening;
        let ex = x - place * dx, ey = y - place * dy;
        const inside = radius + 0.5 - Math.sqrt(ex * ex + ey * ey);
        if (inside <= 0) continue;
        // ... and the one whose surface is nearest to the viewer gives the normal.
        const bulge = radius * radius - away * away;
        place = foot + (bulge > 0 ? rise * Math.sqrt(bulge) : 0);
        place = place < 0 ? 0 : place > 1 ? 1 : place;
        radius = first + place * widening;
        ex = (x - place * dx) / radius;
        ey = (y - place * dy) / radius;
        const flat = ex * ex + ey * ey;
        let ez = 0;
        if (flat < 1) ez = Math.sqrt(1 - flat);
        else { const l = Math.sqrt(flat); ex /= l; ey /= l; }
        const near = a[2] + place * dz + radius * ez, i = row * width + column;
        if (near <= depth[i]) continue;
        const facing = Math.max(0, ex * LX + ey * LY + ez * LZ);
        let shine = Math.max(0, ex * HX + ey * HY + ez * HZ);
        for (let k = 0; k < 4; k++) shine *= shine;
        shine *= 26;
        const factor = (0.72 + 0.28 * ez) * (0.51 - 0.13 * ey + 0.58 * facing);
        // Blend edges with what is behind them, whose opacity is below 1 at its own edges.
        const cover = inside < 1 ? inside : 1, j = 4 * i;
        const behind = pixels[j + 3] / 255 * (1 - cover), opacity = cover + behind;
        const share = cover / opacity, rest = behind / opacity;
        pixels[j] = share * Math.min(255, factor * red + shine) + rest * pixels[j];
        pixels[j + 1] = share * Math.min(255, factor * green + shine) + rest * pixels[j + 1];
        pixels[j + 2] = share * Math.min(255, factor * blue + shine) + rest * pixels[j + 2];
        pixels[j + 3] = 255 * opacity;
        if (cover > 0.5) depth[i] = near;
      }
  }

  // Draws bones [a, b, radius at a, radius at b, colour] between points (x, y, towards
  // the viewer), all in the pixels of the context's canvas.
  return (context, points, bones) => {
    let left = context.canvas.width, top = context.canvas.height, right = 0, bottom = 0;
    for (const [a, b, first, last] of bones)
      for (const [p, r] of [[points[a], first + 1], [points[b], last + 1]]) {
        left = Math.min(left, p[0] - r); right = Math.max(right, p[0] + r);
        top = Math.min(top, p[1] - r); bottom = Math.max(bottom, p[1] + r);
      }
    left = Math.max(0, Math.floor(left)); top = Math.max(0, Math.floor(top));
    const width = Math.min(context.canvas.width, Math.ceil(right)) - left;
    const height = Math.min(context.canvas.height, Math.ceil(bottom)) - top;
    if (width <= 0 || height <= 0) return;
    const size = width * height;
    if (depth.length < size) {
      depth = new Float32Array(size);
      pixels = new Uint8ClampedArray(4 * size);
    }
    depth.fill(-Infinity, 0, size);
    pixels.fill(0, 0, 4 * size);
    const nearness = ([a, b]) => points[a][2] + points[b][2];
    for (const [a, b, first, last, colour] of [...bones].sort((m, n) => nearness(m) - nearness(n)))
      capsule(points[a], points[b], first, last, colour, left, top, width, height);
    if (scratch.width < width) scratch.width = width;
    if (scratch.height < height) scratch.height = height;
    const image = new ImageData(pixels.subarray(0, 4 * size), width, height);
    scratch.getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
    context.drawImage(scratch, 0, 0, width, height, left, top, width, height);
  };
})();
