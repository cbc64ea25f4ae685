"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const COLOURS = { left: [209, 73, 91], right: [48, 99, 142], middle: [96, 96, 102] };
  const DISTANCE = 7, THIN = 0.022, STEP = 0.5, REACH = 4;
  const AZIMUTH = 35 * Math.PI / 180, ELEVATION = 14 * Math.PI / 180;
  const view = { azimuth: AZIMUTH, elevation: ELEVATION, zoom: 1, extent: 1.05 };
  const state = { time: 0, playing: false, speed: 1, trail: true, body: true };

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
    return { ...motion, root, points, follow, frames, count, starts };
  }

  const motions = data.motions.map(prepare);
  const duration = Math.max(...motions.map((m) => (m.frames - 1) / m.fps));
  const finest = Math.max(...motions.map((m) => m.fps));
  const frameOf = (m) => Math.min(m.frames - 1, Math.round(state.time * m.fps));

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

  function projector(motion, frame, width, height) {
    const a = axes(motion), t = motion.follow.subarray(frame * 3, frame * 3 + 3);
    const unit = Math.min(width, height) / 2 * DISTANCE * view.zoom / view.extent;
    return (x, y, z) => {
      x -= t[0]; y -= t[1]; z -= t[2];
      const scale = unit / Math.max(0.5, DISTANCE - (a[6] * x + a[7] * y + a[8] * z));
      return [
        width / 2 + scale * (a[0] * x + a[1] * y + a[2] * z),
        height / 2 - scale * (a[3] * x + a[4] * y + a[5] * z),
        scale,
      ];
    };
  }

  // Sets the scale at which every body fits into the initial view.
  function fit() {
    let furthest = view.extent;
    for (const motion of motions)
      for (let frame = 0; frame < motion.frames; frame++) {
        const project = projector(motion, frame, 2, 2);
        for (let p = 0; p < motion.count; p++) {
          const [x, y] = project(...at(motion, frame, p));
          furthest = Math.max(furthest, 1.12 * view.extent * Math.max(Math.abs(x - 1), Math.abs(y - 1)));
        }
      }
    view.extent = furthest;
  }

  function at(motion, frame, point) {
    const i = (frame * motion.count + point) * 3;
    return [motion.points[i], motion.points[i + 1], motion.points[i + 2]];
  }

  function capsule(context, a, b, first, last) {
    const x = b[0] - a[0], y = b[1] - a[1], length = Math.hypot(x, y) || 1e-6;
    const turn = Math.atan2(y, x);
    context.beginPath();
    // Angle to the points where the common tangents touch the two circles.
    const lean = Math.acos(Math.max(-1, Math.min(1, (first - last) / length)));
    context.arc(a[0], a[1], first, turn + lean, turn - lean + 2 * Math.PI);
    context.arc(b[0], b[1], last, turn - lean, turn + lean);
    context.closePath();
  }

  function floor(context, motion, frame, project) {
    const t = motion.follow.subarray(frame * 3, frame * 3 + 2);
    const middle = [0, 1].map((axis) => Math.round(t[axis] / STEP) * STEP);
    for (const axis of [0, 1])
      for (let offset = -REACH; offset <= REACH; offset += STEP) {
        const ends = [-REACH, REACH].map((side) => {
          const place = [0, 0, 0];
          place[axis] = middle[axis] + offset;
          place[1 - axis] = middle[1 - axis] + side;
          return project(...place);
        });
        context.lineWidth = (middle[axis] + offset) % 1 ? 0.6 : 1.3;
        context.strokeStyle = "#dededa";
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

  function draw(panel) {
    const { canvas, motion } = panel, frame = frameOf(motion);
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    const project = projector(motion, frame, width, height);
    floor(context, motion, frame, project);
    if (state.trail) {
      trail(context, motion, frame, motion.frames - 1, "#d4d4ce", project);
      trail(context, motion, 0, frame, "#777777", project);
    }
    const points = [], shadows = [];
    for (let p = 0; p < motion.count; p++) {
      const place = at(motion, frame, p);
      points.push(project(...place));
      shadows.push(project(place[0], place[1], 0));
    }
    context.fillStyle = "#d9d9d5";
    for (const [a, b] of data.bones) {
      capsule(context, shadows[a], shadows[b], 0.03 * shadows[a][2], 0.03 * shadows[b][2]);
      context.fill();
    }
    const order = [...data.bones].sort(
      (m, n) => points[m[0]][2] + points[m[1]][2] - points[n[0]][2] - points[n[1]][2]);
    for (const [a, b, first, last, side] of order) {
      const radii = state.body ? [first, last] : [THIN, THIN];
      const colour = COLOURS[side];
      capsule(context, points[a], points[b], radii[0] * points[a][2], radii[1] * points[b][2]);
      context.fillStyle = `rgb(${colour})`;
      context.strokeStyle = `rgb(${colour.map((v) => v * 0.6)})`;
      context.lineWidth = 1.2;
      context.fill();
      context.stroke();
    }
    const active = activeOf(motion, frame);
    if (active !== panel.active) {
      panel.buttons.forEach((button, i) => {
        button.classList.toggle("active", i === active);
        if (i === active) {
          button.setAttribute("aria-current", "true");
          const box = button.parentElement;
          box.scrollTop = button.offsetTop - box.offsetTop - 6;
        } else button.removeAttribute("aria-current");
      });
      panel.active = active;
    }
    canvas.dataset.frame = frame;
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
    const title = make("h2", section, motion.title);
    title.title = motion.title;
    title.dir = "auto";
    const canvas = make("canvas", section);
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `motion ${number + 1}: ${motion.text.join(", then ")}`.slice(0, 300));
    const phrases = make("div", section);
    phrases.className = "phrases";
    const buttons = motion.text.map((text, i) => {
      const button = make("button", phrases, text);
      button.type = "button";
      button.dir = "auto";
      button.addEventListener("click", () => seek((motion.starts[i] || 0) / motion.fps));
      return button;
    });
    const known = [...new Set(motion.text)].filter((text) => Object.hasOwn(data.descriptions, text));
    if (known.length) {
      const details = make("details", section);
      make("summary", details, "descriptions");
      const inside = make("div", details);
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
      state.time += Math.min(0.2, (now - last) / 1000) * state.speed;
      if (state.time > duration) state.time = duration > 0 ? state.time % duration : 0;
      redraw();
    }
    last = now;
    show();
  }

  function show() {
    panels.forEach(draw);
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
    if (name === "body") element(name).textContent = value ? "Skeleton" : "Body";
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
    ArrowLeft: () => step(-1), ArrowRight: () => step(1),
    PageUp: () => step(-10), PageDown: () => step(10),
    Home: () => seek(0), End: () => { play(false); seek(duration); },
    a: () => turn(0.15, 0), d: () => turn(-0.15, 0), w: () => turn(0, 0.1), s: () => turn(0, -0.1),
    "+": () => zoom(1.15), "=": () => zoom(1.15), "-": () => zoom(1 / 1.15),
    "[": () => faster(-1), "]": () => faster(1),
    t: () => set("trail", !state.trail), b: () => set("body", !state.body), r: reset,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target.tagName;
    if (on === "SELECT" || on === "SUMMARY" || (on === "BUTTON" && event.key === " ")) return;
    if (!Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    KEYS[event.key]();
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
  for (const name of ["trail", "body"])
    element(name).addEventListener("click", () => set(name, !state[name]));
  element("reset").addEventListener("click", reset);
  element("heading").textContent = data.heading;
  document.title = data.heading || (motions[0] ? motions[0].text.join(", then ").slice(0, 80) : "") || "motion";
  element("grid").classList.toggle("single", motions.length === 1);
  panels = motions.map(build);
  fit();
  set("trail", true);
  set("body", true);
  speed(1);
  new ResizeObserver(redraw).observe(element("grid"));
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  play(!calm && duration > 0);
  // Interface for tests and other pages.
  window.motionViewer = {
    seek: (frame) => seek(frame / finest), play: () => play(true), pause: () => play(false),
    state, view, duration, fps: finest,
    frames: () => panels.map((panel) => Number(panel.canvas.dataset.frame)),
  };
})();
