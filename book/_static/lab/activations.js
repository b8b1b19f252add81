// Activations φ and their derivatives, for many numbers at once, and κ(t) of Definition 2.1.

const GRID = 32, FARTHEST = 6, TERMS = 10, SLOPE = 2 / Math.sqrt(Math.PI);
const TAYLOR = taylor();

/** Coefficients of the Taylor series of erf around 0, 1/32, ..., 6: its derivatives are Hermite polynomials. */
function taylor() {
  const table = new Float64Array((GRID * FARTHEST + 1) * TERMS);
  for (let i = 0; i <= GRID * FARTHEST; i++) {
    const x = i / GRID, slope = SLOPE * Math.exp(-x * x);
    let term = x, sum = 0, n = 0;
    while (term > sum * 1e-17) {
      sum += term;
      n += 1;
      term *= (2 * x * x) / (2 * n + 1);
    }
    table[i * TERMS] = slope * sum;
    let before = 0, hermite = 1, factorial = 1;
    for (let m = 1; m < TERMS; m++) {
      factorial *= m;
      table[i * TERMS + m] = (slope * (m % 2 ? 1 : -1) * hermite) / factorial;
      [before, hermite] = [hermite, 2 * x * hermite - 2 * (m - 1) * before];
    }
  }
  return table;
}

/** erf and its derivative of `scale` times z[from..to), into two arrays. */
function errorFunction(z, from, to, scale, value, slope) {
  const c = TAYLOR;
  for (let j = from; j < to; j++) {
    const x = scale * z[j], size = x < 0 ? -x : x;
    if (size < FARTHEST) {
      const i = (size * GRID + 0.5) | 0, t = size - i / GRID, at = i * TERMS;
      const c1 = c[at + 1], c2 = c[at + 2], c3 = c[at + 3], c4 = c[at + 4], c5 = c[at + 5];
      const c6 = c[at + 6], c7 = c[at + 7], c8 = c[at + 8], c9 = c[at + 9];
      const tail = c4 + t * (c5 + t * (c6 + t * (c7 + t * (c8 + t * c9))));
      const sum = c[at] + t * (c1 + t * (c2 + t * (c3 + t * tail)));
      value[j] = x < 0 ? -sum : sum;
      const steep = 5 * c5 + t * (6 * c6 + t * (7 * c7 + t * (8 * c8 + t * (9 * c9))));
      slope[j] = c1 + t * (2 * c2 + t * (3 * c3 + t * (4 * c4 + t * steep)));
    } else {
      value[j] = x < 0 ? -1 : x > 0 ? 1 : x;
      slope[j] = x === x ? SLOPE * Math.exp(-x * x) : x;
    }
  }
}

/** erf of a number, to full precision. */
export function erf(x) {
  const value = new Float64Array(1);
  errorFunction([x], 0, 1, 1, value, new Float64Array(1));
  return value[0];
}

/** φ and φ' of z[from..to) into two arrays, by name. */
export const ACTIVATIONS = {
  erf: (z, from, to, value, slope) => errorFunction(z, from, to, 1, value, slope),
  ReLU: (z, from, to, value, slope) => {
    for (let j = from; j < to; j++) {
      value[j] = z[j] > 0 ? z[j] : 0;
      slope[j] = z[j] > 0 ? 1 : 0;
    }
  },
  tanh: (z, from, to, value, slope) => {
    for (let j = from; j < to; j++) {
      const t = Math.tanh(z[j]);
      value[j] = t;
      slope[j] = 1 - t * t;
    }
  },
  "Gaussian softplus": (z, from, to, value, slope) => {
    errorFunction(z, from, to, Math.SQRT1_2, value, slope);
    for (let j = from; j < to; j++) {
      const share = 0.5 * (1 + value[j]); // the normal distribution function
      value[j] = z[j] * share + slope[j] / (2 * Math.SQRT2);
      slope[j] = share;
    }
  },
};

/** Γ, the larger bound of |φ'| and |φ''|. */
export const SMOOTHNESS = { erf: SLOPE, ReLU: Infinity, tanh: 1, "Gaussian softplus": 1 };

const tanhCoefficients = [];

/** E[φ'(g)h_m(g)]² for Hermite polynomials with E[h_m²] = 1: the trapezoidal rule is exact enough on normal tails. */
function hermiteSquares(slope, degree) {
  const sums = new Float64Array(degree), step = 1 / 32;
  for (let g = -14; g <= 14; g += step) {
    const weight = (step * slope(g) * Math.exp(-g * g / 2)) / Math.sqrt(2 * Math.PI);
    let before = 0, now = 1;
    for (let m = 0; m < degree; m++) {
      sums[m] += weight * now;
      [before, now] = [now, (g * now - Math.sqrt(m) * before) / Math.sqrt(m + 1)];
    }
  }
  return sums.map((one) => one * one);
}

function tanhKappa(t) {
  if (!tanhCoefficients.length) tanhCoefficients.push(...hermiteSquares((g) => 1 - Math.tanh(g) ** 2, 120));
  return tanhCoefficients.reduceRight((total, one) => total * t + one, 0);
}

/** κ(t) = E[φ'(u)φ'(w)] for standard normal u, w of correlation t. */
export const KAPPA = {
  erf: (t) => 4 / (Math.PI * Math.sqrt(9 - 4 * t * t)),
  ReLU: (t) => (Math.PI - Math.acos(t)) / (2 * Math.PI),
  tanh: tanhKappa,
  "Gaussian softplus": (t) => 0.25 + Math.asin(t / 2) / (2 * Math.PI),
};
