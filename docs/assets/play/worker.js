// Transports in the background, so that the page stays alive.
import file from "./model.js";
import { Model, seeded } from "./multisi.js";

const model = new Model(file);

/** Energy distance of some of two sets of rows. */
function distance(a, b) {
  const few = 300;
  const mean = (x, y) => {
    let sum = 0;
    for (let i = 0; i < few; i++) {
      for (let j = 0; j < few; j++) sum += Math.hypot(x[i][0] - y[j][0], x[i][1] - y[j][1]);
    }
    return sum / few / few;
  };
  return a.length < few || b.length < few ? NaN : 2 * mean(a, b) - mean(a, a) - mean(b, b);
}

onmessage = ({ data: { id, rows, source, target, options, compared } }) => {
  const start = performance.now(), frames = [];
  const y = model.standardised(rows, model.point(source));
  const given = { ...options, random: seeded(7) };
  for (const { alpha, y: state, size } of model.steps(y, source, target, given)) {
    frames.push({ alpha, rows: model.restored(state, alpha, size) });
  }
  const moved = frames[frames.length - 1].rows;
  const error = compared ? distance(moved, file.samples[compared]) : NaN;
  postMessage({ id, frames, error, milliseconds: performance.now() - start });
};
