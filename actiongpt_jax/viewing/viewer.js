"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const DISTANCE = 7, STEP = 0.5, REACH = 4, FADE = 2.6;
  const AZIMUTH = 35 * Math.PI / 180, ELEVATION = 14 * Math.PI / 180;
  // Canvas pixels: at most these per CSS pixel, and these in all visible canvases, which
  // keeps pages of many motions fast.
  const SHARPEST = 2, MOST_PIXELS = 1.6e6;
  const view = { azimuth: AZIMUTH, elevation: ELEVATION, zoom: 1, extent: 1.05 };
  const state = { time: 0, playing: false, speed: 1, trail: true, skeleton: false };

  function decode(text, Type) {
    const binary = atob(text), bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    const values = new DataView(bytes.buffer), size = Type.BYTES_PER_ELEMENT;
    const read = Type === Float32Array ? "getFloat32" : "getInt16";
    return Type.from({ length: bytes.length / size }, (_, i) => values[read](i * size, true));
  }

  // Decodes a motion: points per frame, the pelvis's path and the camera's path, in metres.
  function prepare(motion) {
    const root = decode(motion.root, Float32Array), local = decode(motion.points, Int16Array);
    const frames = root.length / 3, count = local.length / root.length;
    const points = new Float32Array(local.length);
    let low = 0, high = 0.5;
    for (let frame = 0, i = 0; frame < frames; frame++)
      for (let point = 0; point < count; point++)
        for (let axis = 0; axis < 3; axis++, i++) {
          points[i] = root[frame * 3 + axis] + local[i] * 1e-4;
          if (axis === 2) { low = Math.min(low, points[i]); high = Math.max(high, points[i]); }
        }
    const follow = new Float32Array(frames * 3), width = 0.4 * motion.fps;
    for (let frame = 0; frame < frames; frame++) {
      let weights = 0, x = 0, y = 0;
      for (let o = -Math.ceil(3 * width); o <= 3 * width; o++) {
        const other = 3 * Math.max(0, Math.min(frames - 1, frame + o));
        const weight = Math.exp(-0.5 * (o / width) ** 2);
        weights += weight; x += weight * root[other]; y += weight * root[other + 1];
      }
      follow.set([x / weights, y / weights, (low + high) / 2], frame * 3);
    }
    const starts = [];
    motion.lengths.reduce((sum, n) => (starts.push(sum), sum + n), 0);
    // The parts of the path: [first frame, last frame, colour of a series's action].
    const several = starts.length > 1 && starts.length === motion.text.length;
    const parts = several
      ? starts.map((start, i) => [start, starts[i + 1] ?? frames, data.actions[i % data.actions.length]])
      : [[0, frames, ""]];
    return { ...motion, root, points, follow, frames, count, starts, parts };
  }

  const motions = data.motions.map(prepare);
  const duration = Math.max(...motions.map((m) => (m.frames - 1) / m.fps));
  const finest = Math.max(...motions.map((m) => m.fps));
  const placeOf = (m) => Math.min(m.frames - 1, state.time * m.fps);
  const frameOf = (m) => Math.round(placeOf(m));

  // Interpolates `width` values per frame linearly at a fractional frame number.
  function between(values, width, place) {
    const before = Math.floor(place + 1e-6), share = Math.max(0, place - before);
    const i = before * width, last = values.length - width, result = new Float32Array(width);
    const next = Math.min(i + width, last);
    for (let k = 0; k < width; k++)
      result[k] = values[i + k] + share * (values[next + k] - values[i + k]);
    return result;
  }

  function activeOf(motion, frame) {
    if (motion.starts.length === motion.text.length && motion.text.length)
      return motion.starts.filter((start) => start <= frame).length - 1;
    return motion.text.length === 1 ? 0 : -1;
  }

  // The rows are the viewer's axes: right, up, and towards the viewer.
  function axes(motion) {
    const azimuth = motion.heading + view.azimuth;
    const c = Math.cos(azimuth), s = Math.sin(azimuth);
    const low = Math.cos(view.elevation), high = Math.sin(view.elevation);
    return [-s, c, 0, -c * high, -s * high, low, c * low, s * low, high];
  }

  // Returns (x, y, z) -> [right, down, towards the viewer, pixels of a metre there].
  function projector(motion, target, width, height) {
    const a = axes(motion), middle = Math.min(width, height) / 2 * view.zoom / view.extent;
    return (x, y, z) => {
      x -= target[0]; y -= target[1]; z -= target[2];
      const near = a[6] * x + a[7] * y + a[8] * z;
      const scale = middle * DISTANCE / Math.max(0.5, DISTANCE - near);
      return [
        width / 2 + scale * (a[0] * x + a[1] * y + a[2] * z),
        height / 2 - scale * (a[3] * x + a[4] * y + a[5] * z),
        middle * near,
        scale,
      ];
    };
  }

  // Sets the scale at which every body fits into the initial view.
  function fit() {
    let furthest = view.extent;
    for (const motion of motions)
      for (let frame = 0; frame < motion.frames; frame++) {
        const project = projector(motion, motion.follow.subarray(frame * 3, frame * 3 + 3), 2, 2);
        for (let p = 0; p < motion.count; p++) {
          const i = (frame * motion.count + p) * 3;
          const [x, y] = project(...motion.points.subarray(i, i + 3));
          furthest = Math.max(furthest, 1.12 * view.extent * Math.max(Math.abs(x - 1), Math.abs(y - 1)));
        }
      }
    view.extent = furthest;
  }

  function floor(context, target, project) {
    const middle = [0, 1].map((axis) => Math.round(target[axis] / STEP) * STEP);
    for (const axis of [0, 1])
      for (let offset = -REACH; offset <= REACH; offset += STEP) {
        const ends = [-REACH, REACH].map((side) => {
          const place = [0, 0, 0];
          place[axis] = middle[axis] + offset;
          place[1 - axis] = middle[1 - axis] + side;
          return project(...place);
        });
        context.lineWidth = (middle[axis] + offset) % 1 ? 0.5 : 1;
        context.strokeStyle = theme.grid;
        context.beginPath();
        context.moveTo(ends[0][0], ends[0][1]);
        context.lineTo(ends[1][0], ends[1][1]);
        context.stroke();
      }
  }

  function trail(context, motion, from, to, colour, project) {
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.beginPath();
    for (let frame = from; frame <= to; frame++) {
      const [x, y] = project(motion.root[frame * 3], motion.root[frame * 3 + 1], 0);
      if (frame === from) context.moveTo(x, y); else context.lineTo(x, y);
    }
    context.stroke();
  }

  // Draws the path on the floor, strong up to the present, from a dot to a ring.
  function path(context, motion, place, project) {
    const last = motion.frames - 1, now = Math.ceil(place);
    for (const [from, to, colour] of motion.parts) {
      const end = Math.min(to, last);
      context.globalAlpha = colour ? 0.4 : 1;
      if (end > now) trail(context, motion, Math.max(from, now), end, colour || theme.ahead, project);
      context.globalAlpha = 1;
      if (from < now) trail(context, motion, from, Math.min(end, now), colour || theme.trail, project);
    }
    for (const [frame, [, , colour], kind] of [[0, motion.parts[0], "fill"], [last, motion.parts.at(-1), "stroke"]]) {
      const end = project(motion.root[frame * 3], motion.root[frame * 3 + 1], 0);
      onFloor(context, end, () => {
        context.fillStyle = context.strokeStyle = colour || theme.trail;
        context.beginPath();
        context.arc(0, 0, 0.045 * end[3], 0, 2 * Math.PI);
        context[kind]();
      });
    }
  }

  // Calls `paint` in coordinates in which a circle around (0, 0) lies on the floor.
  function onFloor(context, [x, y], paint) {
    context.save();
    context.translate(x, y);
    context.scale(1, Math.max(0.02, Math.abs(Math.sin(view.elevation))));
    paint();
    context.restore();
  }

  // The floor fades out around the body.
  function fade(context, target, project, size) {
    const below = project(target[0], target[1], 0);
    onFloor(context, below, () => {
      const shade = context.createRadialGradient(0, 0, 0, 0, 0, FADE * below[3]);
      shade.addColorStop(0, `${theme.panel}00`);
      shade.addColorStop(1, theme.panel);
      context.fillStyle = shade;
      context.fillRect(-size, -size * 50, 2 * size, size * 100);
    });
  }

  const spot = document.createElement("canvas");
  spot.width = spot.height = 64;
  {
    const image = new ImageData(64, 64);
    for (let i = 0; i < 4096; i++) {
      const x = (i % 64 - 31.5) / 32, y = ((i >> 6) - 31.5) / 32;
      image.data[4 * i + 3] = 255 * Math.max(0, 1 - x * x - y * y) ** 2;
    }
    spot.getContext("2d").putImageData(image, 0, 0);
  }

  function shadow(context, place, radius, strength) {
    if (strength < 0.01) return;
    onFloor(context, place, () => {
      context.globalAlpha = strength;
      context.drawImage(spot, -radius, -radius, 2 * radius, 2 * radius);
    });
  }

  // Draws the motions that can be seen.
  function drawAll() {
    const visible = panels.map((panel) => [panel, panel.canvas.getBoundingClientRect()])
      .filter(([, box]) => box.bottom > 0 && box.top < window.innerHeight && box.width > 0);
    const size = visible.reduce((sum, [, box]) => sum + box.width * box.height, 0);
    const most = Math.max(1, Math.min(SHARPEST, Math.sqrt(MOST_PIXELS / size)));
    const ratio = Math.min(most, window.devicePixelRatio || 1);
    for (const [panel, box] of visible)
      draw(panel, Math.round(box.width * ratio), Math.round(box.height * ratio), ratio);
  }

  function draw(panel, width, height, ratio) {
    const { canvas, motion } = panel;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    const place = placeOf(motion), frame = frameOf(motion);
    const target = between(motion.follow, 3, place);
    const scaled = projector(motion, target, width, height);
    const project = (...point) => scaled(...point).map((value) => value / ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = theme.floor;
    context.fillRect(0, 0, width, height);
    floor(context, target, project);
    if (state.trail) path(context, motion, place, project);
    fade(context, target, project, Math.max(width, height));
    const body = between(motion.points, 3 * motion.count, place), points = [];
    for (let i = 0; i < body.length; i += 3) {
      points.push(scaled(body[i], body[i + 1], body[i + 2]));
      const below = project(body[i], body[i + 1], 0), up = Math.max(0, body[i + 2]);
      if (i) shadow(context, below, (0.11 + 0.5 * up) * below[3], 0.36 * Math.exp(-up / 0.1));
      else shadow(context, below, 0.45 * below[3], 0.16);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    const radii = state.skeleton ? data.thin : data.radii;
    drawFigure(context, points, data.bones.map(([a, b, part], i) =>
      [a, b, radii[i][0] * points[a][3], radii[i][1] * points[b][3], data.colours[part]]));
    mark(panel, activeOf(motion, frame));
    canvas.dataset.frame = frame;
  }

  // Highlights the phrase that is performed, and scrolls it into view.
  function mark(panel, active) {
    if (active === panel.active) return;
    panel.active = active;
    panel.buttons.forEach((button, i) => {
      button.classList.toggle("active", i === active);
      if (i === active) {
        button.setAttribute("aria-current", "true");
        const box = button.parentElement;
        box.scrollTop = button.offsetTop - box.offsetTop - 6;
      } else button.removeAttribute("aria-current");
    });
  }

  // Canvases cannot use the style sheet's colours by themselves.
  let theme = {};
  function readTheme() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["panel", "floor", "grid", "trail", "ahead"])
      theme[name] = style.getPropertyValue(`--${name}`).trim();
    redraw();
  }

  function make(tag, parent, text) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  function build(motion, number) {
    const section = make("section", element("grid"));
    section.className = "panel";
    if (titled) {
      const title = make(motion.title ? "h2" : "div", section, motion.title);
      title.className = "title";
      title.title = motion.title;
      title.dir = "auto";
    }
    const canvas = make("canvas", section);
    canvas.tabIndex = -1;  // a click focuses it; the tab key skips it
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `motion ${number + 1}: ${motion.text.join(", then ")}`.slice(0, 300));
    const phrases = make("div", section);
    phrases.className = "phrases";
    const buttons = motion.text.map((text, i) => {
      const button = make("button", phrases, text);
      button.type = "button";
      button.dir = "auto";
      if (motion.parts[1]) button.style.borderInlineStart = `4px solid ${motion.parts[i][2]}`;
      button.addEventListener("click", () => seek((motion.starts[i] || 0) / motion.fps));
      return button;
    });
    const known = [...new Set(motion.text)].filter((text) => Object.hasOwn(data.descriptions, text));
    if (known.length) {
      const details = make("details", section);
      make("summary", details, "descriptions");
      const inside = make("div", details);
      // The arrow keys scroll it when it has the focus.
      Object.assign(inside, { tabIndex: 0, role: "group", ariaLabel: "descriptions" });
      for (const text of known) {
        make("h3", inside, text).dir = "auto";
        const list = make("ol", inside);
        for (const description of data.descriptions[text]) make("li", list, description).dir = "auto";
      }
    }
    orbit(canvas);
    return { canvas, motion, buttons, active: undefined };
  }

  function turn(right, up) {
    view.azimuth -= right;
    view.elevation = Math.max(-0.2, Math.min(1.55, view.elevation + up));
    redraw();
  }

  function zoom(factor) {
    view.zoom = Math.max(0.2, Math.min(8, view.zoom * factor));
    redraw();
  }

  function orbit(canvas) {
    const held = new Map();
    const spread = () => {
      const [a, b] = [...held.values()];
      return Math.hypot(a.x - b.x, a.y - b.y);
    };
    canvas.addEventListener("pointerdown", (event) => {
      held.set(event.pointerId, { x: event.clientX, y: event.clientY });
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const last = held.get(event.pointerId);
      if (!last) return;
      const before = held.size === 2 ? spread() : 0;
      const right = event.clientX - last.x, down = event.clientY - last.y;
      held.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (held.size === 2 && before > 0) zoom(spread() / before);
      else if (held.size === 1) turn(right * 0.01, down * 0.008);
    });
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, (event) => held.delete(event.pointerId));
    // The wheel zooms only in the motion clicked last; elsewhere it scrolls the page.
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * 0.0015));
    }, { passive: false });
  }

  let panels = [], waiting = 0, last = 0;

  function redraw() {
    if (!waiting) waiting = requestAnimationFrame(tick);
  }

  function tick(now) {
    waiting = 0;
    if (state.playing) {
      // A frame may have begun before playing did.
      state.time += Math.max(0, Math.min(0.2, (now - last) / 1000)) * state.speed;
      if (state.time > duration) state.time = duration > 0 ? state.time % duration : 0;
      redraw();
    }
    last = now;
    show();
  }

  function show() {
    drawAll();
    const frame = Math.round(state.time * finest);
    element("scrub").value = frame;
    element("time").textContent = `${state.time.toFixed(2)} s, frame ${frame}`;
    const word = state.playing ? "Pause" : "Play";
    if (element("play").textContent !== word) element("play").textContent = word;
  }

  function seek(time) {
    state.time = Math.max(0, Math.min(duration, time));
    show();
  }

  function play(on) {
    if (on && state.time >= duration) state.time = 0;
    state.playing = on;
    last = performance.now();
    show();
    redraw();
  }

  function step(frames) {
    play(false);
    seek((Math.round(state.time * finest) + frames) / finest);
  }

  function reset() {
    Object.assign(view, { azimuth: AZIMUTH, elevation: ELEVATION, zoom: 1 });
    redraw();
  }

  function set(name, value) {
    state[name] = value;
    element(name).setAttribute("aria-pressed", value);
    redraw();
  }

  function speed(value) {
    state.speed = value;
    element("speed").value = String(value);
  }

  const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];
  const faster = (by) => speed(SPEEDS[Math.max(0, Math.min(5, SPEEDS.indexOf(state.speed) + by))]);
  const KEYS = {
    " ": () => play(!state.playing),
    ArrowLeft: (by) => step(-by), ArrowRight: (by) => step(by),
    a: () => turn(0.15, 0), d: () => turn(-0.15, 0), w: () => turn(0, 0.1), s: () => turn(0, -0.1),
    "+": () => zoom(1.15), "=": () => zoom(1.15), "-": () => zoom(1 / 1.15),
    "[": () => faster(-1), "]": () => faster(1),
    t: () => set("trail", !state.trail), b: () => set("skeleton", !state.skeleton), r: reset,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target.tagName;
    if (on === "SELECT" || on === "SUMMARY" || (on === "BUTTON" && event.key === " ")) return;
    if (!Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    KEYS[event.key](event.shiftKey ? 10 : 1);
  });

  element("scrub").max = Math.round(duration * finest);
  element("scrub").addEventListener("input", (event) => {
    const frame = Number(event.target.value);  // read it first: pausing draws the old frame again
    play(false);
    seek(frame / finest);
  });
  element("play").addEventListener("click", () => play(!state.playing));
  for (const value of SPEEDS) make("option", element("speed"), `${value}×`).value = String(value);
  element("speed").addEventListener("change", (event) => speed(Number(event.target.value)));
  for (const name of ["trail", "skeleton"])
    element(name).addEventListener("click", () => set(name, !state[name]));
  element("reset").addEventListener("click", reset);
  document.title = data.heading || motions[0].text.join(", then ").slice(0, 80) || "motion";
  element("heading").textContent = document.title;
  element("heading").classList.toggle("unseen", !data.heading);
  element("grid").classList.toggle("single", motions.length === 1);
  if (data.columns) {
    element("grid").classList.add("rows");
    element("grid").style.setProperty("--columns", data.columns);
  }
  const titled = motions.some((motion) => motion.title);
  panels = motions.map(build);
  fit();
  set("trail", true);
  set("skeleton", false);
  speed(1);
  readTheme();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readTheme);
  new ResizeObserver(redraw).observe(element("grid"));
  window.addEventListener("scroll", redraw, { passive: true });
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  play(!calm && duration > 0);
  // Interface for tests and other pages.
  window.motionViewer = {
    seek: (frame) => seek(frame / finest), play: () => play(true), pause: () => play(false),
    state, view, duration, fps: finest,
    frames: () => panels.map((panel) => Number(panel.canvas.dataset.frame)),
  };
})();
