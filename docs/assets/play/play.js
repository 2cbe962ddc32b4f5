// The page of the interactive simplex.
import file from "./model.js";

const NAMES = ["ring", "squares", "cross"], RANGE = 4.2, SECONDS = 2;
const place = document.getElementById("play");
if (place && !place.dataset.ready) begin(place);

function begin(root) {
  root.dataset.ready = "yes";
  const find = (name) => root.querySelector(`[data-play="${name}"]`);
  const plot = find("plot"), triangle = find("triangle"), point = find("point"), told = find("told");
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const state = { shares: [1 / 3, 1 / 3, 1 / 3], drawn: [], frames: [], since: 0, shown: 1, busy: false, stale: true, id: 0 };
  const corners = [[50, 6], [6, 82], [94, 82]];

  const settings = () => ({
    source: find("source").value,
    target: find("target").value,
    noise: find("motion").value === "sde" ? 1 : 0,
    options: {
      steps: Number(find("steps").value),
      solver: find("solver").value,
      interpolant: find("interpolant").value,
    },
  });

  function ask() {
    if (state.busy) return void (state.stale = true);
    const { source, target, noise, options } = settings();
    const rows = source === "drawing" ? state.drawn : file.samples[source];
    if (!rows.length) {
      state.frames = [];
      told.textContent = "Draw in the plot with the mouse, a finger or a pen.";
      return;
    }
    state.busy = true;
    state.stale = false;
    const start = source === "drawing" ? nearest() : source;
    worker.postMessage({
      id: ++state.id,
      rows,
      source: start,
      target: target === "point" ? [0, ...state.shares] : target,
      options: { ...options, noise },
      compared: target === "point" ? null : target,
    });
  }

  /** A drawing is taken for a sample of the marginal in the list beside it. */
  const nearest = () => find("as").value;

  worker.onmessage = ({ data }) => {
    state.busy = false;
    state.frames = data.frames;
    const rate = 1000 / data.milliseconds;
    root.dataset.rate = rate.toFixed(2);
    const error = Number.isNaN(data.error) ? "" : ` Energy distance to the target: ${data.error.toFixed(4)}.`;
    told.textContent = `${data.frames.length - 1} steps in ${data.milliseconds.toFixed(0)} ms.${error}`;
    if (state.stale) ask();
  };
  worker.onerror = (error) => { told.textContent = `The model does not run here: ${error.message}`; };

  function now() {
    if (!state.since) return 1;
    const t = (performance.now() - state.since) / 1000 / SECONDS;
    if (t >= 1) state.since = 0;
    return Math.min(1, t);
  }

  function rowsAt(t) {
    const last = state.frames.length - 1, at = t * last, low = Math.min(last, Math.floor(at));
    const a = state.frames[low].rows, b = state.frames[Math.min(last, low + 1)].rows, rest = at - low;
    return a.map((row, n) => [row[0] + rest * (b[n][0] - row[0]), row[1] + rest * (b[n][1] - row[1])]);
  }

  let counted = 0, second = performance.now();
  function draw() {
    const size = Math.round(plot.clientWidth * devicePixelRatio) || 1;
    if (plot.width !== size) plot.width = plot.height = size;
    const pen = plot.getContext("2d"), style = getComputedStyle(root);
    pen.clearRect(0, 0, size, size);
    const dots = (rows, colour, radius) => {
      pen.fillStyle = colour;
      for (const [x, y] of rows) {
        pen.beginPath();
        pen.arc(((x / RANGE + 1) * size) / 2, ((1 - y / RANGE) * size) / 2, radius * devicePixelRatio, 0, 7);
        pen.fill();
      }
    };
    if (settings().source === "drawing") dots(state.drawn, style.getPropertyValue("--play-faint"), 1.6);
    if (state.frames.length) dots(rowsAt(now()), style.getPropertyValue("--play-dots"), 1.6);
    counted += 1;
    if (performance.now() - second > 1000) {
      root.dataset.frames = counted;
      [counted, second] = [0, performance.now()];
    }
    requestAnimationFrame(draw);
  }

  function move(shares) {
    const sum = shares.reduce((a, b) => a + b, 0) || 1;
    state.shares = shares.map((share) => Math.max(0, share) / sum);
    const [x, y] = [0, 1].map((i) => corners.reduce((s, c, k) => s + c[i] * state.shares[k], 0));
    point.setAttribute("cx", x);
    point.setAttribute("cy", y);
    NAMES.forEach((name, k) => {
      const slider = find(`share-${name}`), percent = Math.round(100 * state.shares[k]);
      if (document.activeElement !== slider) slider.value = percent;
      slider.setAttribute("aria-valuetext", `${percent} percent`);
    });
    find("target").value = "point";
    state.since = 0;
    ask();
  }

  /** Shares of the corners at a place of the triangle. */
  function shares(event) {
    const box = triangle.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 100, y = ((event.clientY - box.top) / box.height) * 88;
    const [[ax, ay], [bx, by], [cx, cy]] = corners;
    const area = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy);
    const a = ((by - cy) * (x - cx) + (cx - bx) * (y - cy)) / area;
    const b = ((cy - ay) * (x - cx) + (ax - cx) * (y - cy)) / area;
    return [a, b, 1 - a - b].map((share) => Math.max(0, share));
  }

  triangle.addEventListener("pointerdown", (event) => {
    triangle.setPointerCapture(event.pointerId);
    move(shares(event));
  });
  triangle.addEventListener("pointermove", (event) => { if (event.buttons) move(shares(event)); });
  NAMES.forEach((name, k) => {
    find(`share-${name}`).addEventListener("input", (event) => {
      const mine = event.target.value / 100, rest = state.shares.reduce((s, x, i) => (i === k ? s : s + x), 0);
      move(state.shares.map((x, i) => (i === k ? mine : (1 - mine) * (rest > 0 ? x / rest : 1 / 2))));
    });
  });

  const sketch = (event) => {
    if (settings().source !== "drawing" || (event.type === "pointermove" && !event.buttons)) return;
    const box = plot.getBoundingClientRect();
    const x = (((event.clientX - box.left) / box.width) * 2 - 1) * RANGE;
    const y = (1 - ((event.clientY - box.top) / box.height) * 2) * RANGE;
    for (let i = 0; i < 12; i++) {
      state.drawn.push([x + 0.25 * (Math.random() - 0.5), y + 0.25 * (Math.random() - 0.5)]);
    }
    state.drawn = state.drawn.slice(-1000);
    ask();
  };
  plot.addEventListener("pointerdown", sketch);
  plot.addEventListener("pointermove", sketch);
  find("clear").addEventListener("click", () => { state.drawn = []; ask(); });
  find("run").addEventListener("click", () => { state.since = performance.now(); ask(); });
  for (const name of ["source", "target", "motion", "solver", "interpolant", "steps", "as"]) {
    find(name).addEventListener("input", () => {
      find("count").textContent = find("steps").value;
      root.dataset.source = find("source").value;
      state.since = performance.now();
      ask();
    });
  }
  move(state.shares);
  draw();
}
