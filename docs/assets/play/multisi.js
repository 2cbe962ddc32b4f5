// A model of multisi in a browser: plain JavaScript, from the file that `multisi export` writes.
//
// States are kept by feature, `state[feature * rows + row]`, so that inner loops run along rows.

const NEAR = 1e-3;  // As in multisi.networks.parts: faces of the simplex are told apart this far.
const TINY = 1e-12;
const CHORDS = 2048;

/** The numbers of a text in base64, float32 in little-endian order. */
function numbers(text) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

function sigmoidal(x) {
  return x / (1 + Math.exp(-x));
}

/** out += weight (outputs x inputs) @ states (inputs x rows). */
function addProduct(out, weight, states, outputs, inputs, rows) {
  for (let j = 0; j < outputs; j++) {
    const to = out.subarray(j * rows, (j + 1) * rows);
    let i = 0;
    for (; i + 3 < inputs; i += 4) {  // Four at a time: each number of `out` is loaded once.
      const a = weight[j * inputs + i], b = weight[j * inputs + i + 1];
      const c = weight[j * inputs + i + 2], d = weight[j * inputs + i + 3];
      const p = i * rows, q = p + rows, r = q + rows, s = r + rows;
      for (let n = 0; n < rows; n++) {
        to[n] += a * states[p + n] + b * states[q + n] + c * states[r + n] + d * states[s + n];
      }
    }
    for (; i < inputs; i++) {
      const a = weight[j * inputs + i], p = i * rows;
      for (let n = 0; n < rows; n++) to[n] += a * states[p + n];
    }
  }
}

/** weight (outputs x inputs) @ vector + bias. */
function affine(weight, bias, vector) {
  const inputs = vector.length;
  return Float64Array.from(bias, (b, j) => {
    let sum = b;
    for (let i = 0; i < inputs; i++) sum += weight[j * inputs + i] * vector[i];
    return sum;
  });
}

/** A normal number, by Box and Muller. */
function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** A generator of numbers in [0, 1) from a seed (mulberry32). */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Weights of interpolants at points of the simplex. */
export const INTERPOLANTS = {
  barycentric: (alpha) => alpha.slice(),
  trigonometric: (alpha) => alpha.map((a) => Math.sin((Math.PI / 2) * a)),
};

/** Stages of solvers: places in the step, weights of the slopes before each, and of all in the sum. */
const SOLVERS = {
  euler: { at: [0], from: [[]], sum: [1] },
  heun: { at: [0, 1], from: [[], [1]], sum: [1 / 2, 1 / 2] },
  midpoint: { at: [0, 1 / 2], from: [[], [1 / 2]], sum: [0, 1] },
  rk4: {
    at: [0, 1 / 2, 1 / 2, 1],
    from: [[], [1 / 2], [0, 1 / 2], [0, 0, 1]],
    sum: [1 / 6, 1 / 3, 1 / 3, 1 / 6],
    rates: true, // With differences of the point in place of its rates, the order would be 2.
  },
};

/** A function from shares of the length of a curve to times, by a table of chords. */
function evenly(curve) {
  const lengths = [0];
  for (let i = 1, before = curve(0); i <= CHORDS; i++) {
    const here = curve(i / CHORDS);
    lengths.push(lengths[i - 1] + Math.hypot(...here.map((x, k) => x - before[k])));
    before = here;
  }
  return (share) => {
    const wanted = share * lengths[CHORDS];
    let low = 0, high = CHORDS;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (lengths[middle] <= wanted) low = middle; else high = middle;
    }
    const chord = lengths[high] - lengths[low];
    return (low + (chord > 0 ? (wanted - lengths[low]) / chord : 0)) / CHORDS;
  };
}

export class Model {
  /** @param {object} file What `multisi export` wrote, parsed. */
  constructor(file) {
    if (file.format !== "multisi-browser-1") {
      throw new Error(`Expected a file of multisi export; got the format ${file.format}.`);
    }
    this.marginals = file.marginals;
    this.noise = file.noise;
    this.features = file.features;
    this.shift = file.shift;
    this.scale = file.scale;
    this.depth = file.depth;
    this.weights = Object.fromEntries(
      Object.entries(file.weights).map(([name, text]) => [name, numbers(text)]),
    );
  }

  /** A corner, by its name, or a point of the simplex as it is. */
  point(place) {
    if (Array.isArray(place)) return place;
    const k = this.marginals.indexOf(place);
    if (k < 0) throw new Error(`No marginal is named ${place}. Known: ${this.marginals.join(", ")}.`);
    return this.marginals.map((_, i) => (i === k ? 1 : 0));
  }

  /** sum_k v_k g_k(y, alpha): the velocity along v, for states by feature. */
  combine(y, alpha, v) {
    const rows = y.length / this.features;
    const square = alpha.reduce((sum, a) => sum + a * a, 0);
    const along = alpha.reduce((sum, a, k) => sum + a * v[k], 0) / square;
    const out = this.heads(y, alpha, v.map((x, k) => x - along * alpha[k]), rows);
    for (let i = 0; i < y.length; i++) out[i] += along * y[i];
    return out;
  }

  /** sum_k mix_k times head k of the network. */
  heads(y, alpha, mix, rows) {
    const w = this.weights, d = this.features, told = this.told(alpha);
    let h = this.read(y, rows);
    for (let layer = 0; layer < this.depth; layer++) {
      const bias = w[`layers.${layer}.bias`], width = bias.length;
      const next = new Float32Array(width * rows);
      addProduct(next, w[`layers.${layer}.weight`], h, width, h.length / rows, rows);
      const both = affine(w[`modulate.${layer}.weight`], w[`modulate.${layer}.bias`], told);
      for (let j = 0; j < width; j++) {
        const scale = 1 + both[j], shift = both[width + j] + scale * bias[j];
        for (let n = j * rows; n < (j + 1) * rows; n++) next[n] = sigmoidal(scale * next[n] + shift);
      }
      h = next;
    }
    const inputs = h.length / rows, weight = new Float32Array(d * inputs);
    const out = new Float32Array(d * rows);
    mix.forEach((share, k) => {
      for (let i = 0; i < weight.length; i++) weight[i] += share * w["heads.weight"][k * weight.length + i];
      for (let i = 0; i < d; i++) {
        const bias = share * w["heads.bias"][k * d + i];
        for (let n = i * rows; n < (i + 1) * rows; n++) out[n] += bias;
      }
    });
    addProduct(out, weight, h, d, inputs, rows);
    return out;
  }

  /** The embedding of a point. */
  told(alpha) {
    const given = [...alpha, ...alpha.map((a) => Math.log(a + NEAR) / 3)];
    return affine(this.weights["embed.0.weight"], this.weights["embed.0.bias"], given).map(sigmoidal);
  }

  /** The inputs of the first layer: the state, and its waves. */
  read(y, rows) {
    const waves = this.weights["frequencies.weight"];
    if (!waves) return y;
    const count = waves.length / this.features, size = y.length;
    const phases = new Float32Array(count * rows);
    addProduct(phases, waves, y, count, this.features, rows);
    const out = new Float32Array(size + 2 * phases.length);
    out.set(y);
    for (let i = 0; i < phases.length; i++) {
      out[size + i] = Math.sin(phases[i]);
      out[size + phases.length + i] = Math.cos(phases[i]);
    }
    return out;
  }

  /** Whether a point is the noise, whose states have no units of the data. */
  raw(alpha) {
    return this.noise !== null && 1 - alpha[0] <= TINY;
  }

  /** States by feature, standardised, from rows of numbers. */
  standardised(rows, alpha) {
    const raw = this.raw(alpha), y = new Float32Array(rows.length * this.features);
    rows.forEach((row, n) => {
      for (let i = 0; i < this.features; i++) {
        y[i * rows.length + n] = raw ? row[i] : (row[i] - this.shift[i]) / this.scale[i];
      }
    });
    return y;
  }

  /** Rows of numbers in data units, from states by feature and the sum of the weights. */
  restored(y, alpha, size = 1) {
    const raw = this.raw(alpha), count = y.length / this.features;
    return Array.from({ length: count }, (_, n) =>
      Array.from({ length: this.features }, (_, i) =>
        size * (raw ? y[i * count + n] : y[i * count + n] * this.scale[i] + this.shift[i])));
  }

  /**
   * The steps of a transport, one at a time: objects of the point `alpha`, the state `y` by feature,
   * standardised, and `size`, the sum of the weights of the interpolant.
   *
   * Without noise the path is straight; with noise between two datasets it bows towards the noise, as
   * in multisi, and each step adds normal numbers. The interpolant is then barycentric. Steps are even
   * in the length of the path.
   */
  *steps(y, source, target, options = {}) {
    const { steps = 16, solver = "heun", noise = 0, random = Math.random } = options;
    const weights = INTERPOLANTS[noise > 0 ? "barycentric" : (options.interpolant ?? "barycentric")];
    if (!weights) throw new Error(`No interpolant is named ${options.interpolant}.`);
    const [a, b] = [this.point(source), this.point(target)];
    const scheme = SOLVERS[noise > 0 ? "midpoint" : solver];
    if (!scheme) throw new Error(`No solver is named ${solver}. Known: ${Object.keys(SOLVERS).join(", ")}.`);
    if (noise > 0 && this.noise === null) throw new Error("Noise needs a noise marginal.");
    const bowed = noise > 0 && a[0] < 1 && b[0] < 1;
    const weighed = (t) => {
      const lift = bowed ? Math.sin(Math.PI * t) ** 2 / 2 : 0;
      return weights(a.map((x, k) => (1 - lift) * (x + t * (b[k] - x)) + (k === 0 ? lift : 0)));
    };
    const total = (t) => weighed(t).reduce((sum, w) => sum + w, 0);
    const curve = (t) => weighed(t).map((w) => w / total(t));
    const straight = !bowed && weights === INTERPOLANTS.barycentric;
    const time = straight ? (place) => place : evenly(curve);
    const at = (place) => curve(time(place)), size = (place) => total(time(place));
    const rate = (t, length) => {
      const [from, to] = [Math.max(0, t - NEAR / 10), Math.min(1, t + NEAR / 10)];
      const before = at(from);
      return at(to).map((x, k) => (length * (x - before[k])) / (to - from));
    };
    let state = Float32Array.from(y);
    yield { alpha: at(0), y: state, size: size(0) };
    for (let step = 0; step < steps; step++) {
      const t = step / steps, length = 1 / steps, begin = at(t), end = at(t + length);
      const slopes = [];
      const change = end.map((x, k) => x - begin[k]);
      scheme.at.forEach((share, stage) => {
        const inner = Float32Array.from(state);
        scheme.from[stage].forEach((weight, i) => {
          for (let n = 0; n < inner.length; n++) inner[n] += weight * slopes[i][n];
        });
        const place = t + share * length, along = scheme.rates ? rate(place, length) : change;
        slopes.push(this.combine(inner, at(place), this.away(along, noise * (time(t + length) - time(t)))));
      });
      const next = Float32Array.from(state);
      scheme.sum.forEach((share, i) => {
        if (share) for (let n = 0; n < next.length; n++) next[n] += share * slopes[i][n];
      });
      if (noise > 0) {
        const passed = time(t + length) - time(t), middle = at(t + length / 2);
        const spread = Math.sqrt((2 * noise * passed * (begin[0] + 4 * middle[0] + end[0])) / 6);
        for (let n = 0; n < next.length; n++) next[n] += spread * normal(random);
      }
      state = next;
      yield { alpha: end, y: state, size: size(t + length) };
    }
  }

  /** The change of the point less the score term, which only the noise has. */
  away(change, amount) {
    return change.map((x, k) => (k === 0 ? x - amount : x));
  }

  /** Rows moved from one point to another; options as for `steps`. */
  transport(rows, source, target, options = {}) {
    let last = null;
    const y = this.standardised(rows, this.point(source));
    for (const state of this.steps(y, source, target, options)) last = state;
    return this.restored(last.y, last.alpha, last.size);
  }
}
