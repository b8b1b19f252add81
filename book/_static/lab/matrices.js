// Symmetric matrices, row by row in a Float64Array: eigenvalues and eigenvectors.

/** x·y of two rows of an array. */
export function dot(x, at, y, from, size) {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += x[at + i] * y[from + i];
  return sum;
}

/** A matrix with n rows of length d times its own transpose. */
export function products(rows, n, d) {
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) matrix[i * n + j] = matrix[j * n + i] = dot(rows, i * d, rows, j * d, d);
  return matrix;
}

/** Reflections that make a symmetric matrix tridiagonal: its diagonal, its other diagonal, and the rotation, by rows. */
function tridiagonal(matrix, n) {
  const a = Float64Array.from(matrix), rotation = new Float64Array(n * n);
  const v = new Float64Array(n), p = new Float64Array(n), beside = new Float64Array(n);
  for (let i = 0; i < n; i++) rotation[i * n + i] = 1;
  for (let m = 0; m < n - 2; m++) {
    let size = 0;
    for (let i = m + 1; i < n; i++) size += (v[i] = a[i * n + m]) ** 2;
    if (size - v[m + 1] ** 2 <= 1e-300) continue;
    v[m + 1] += (v[m + 1] < 0 ? -1 : 1) * Math.sqrt(size);
    const half = dot(v, m + 1, v, m + 1, n - m - 1) / 2;
    for (let i = m; i < n; i++) p[i] = dot(a, i * n + m + 1, v, m + 1, n - m - 1) / half;
    const shift = dot(p, m + 1, v, m + 1, n - m - 1) / (2 * half);
    for (let i = m + 1; i < n; i++) p[i] -= shift * v[i];
    for (let i = m + 1; i < n; i++)
      for (let j = m + 1; j < n; j++) a[i * n + j] -= v[i] * p[j] + p[i] * v[j];
    a[(m + 1) * n + m] -= v[m + 1] * p[m];
    for (let i = 0; i < n; i++) {
      const along = dot(rotation, i * n + m + 1, v, m + 1, n - m - 1) / half;
      for (let j = m + 1; j < n; j++) rotation[i * n + j] -= along * v[j];
    }
  }
  for (let i = 0; i + 1 < n; i++) beside[i] = a[(i + 1) * n + i];
  return { diagonal: Float64Array.from({ length: n }, (_, i) => a[i * n + i]), beside, rotation };
}

/** Rotate columns j and j + 1 of a matrix that is kept transposed, so that they are rows. */
function rotate(rows, n, j, cosine, sine) {
  const left = j * n, right = left + n;
  for (let i = 0; i < n; i++) {
    const x = rows[left + i], y = rows[right + i];
    rows[right + i] = sine * x + cosine * y;
    rows[left + i] = cosine * x - sine * y;
  }
}

/** Where the matrix falls apart next, from index `from` on. */
function split(diagonal, beside, from) {
  let at = from;
  const small = (i) => Math.abs(beside[i]) <= Number.EPSILON * (Math.abs(diagonal[i]) + Math.abs(diagonal[i + 1]));
  while (at < diagonal.length - 1 && !small(at)) at += 1;
  return at;
}

/** One implicit QL step with Wilkinson's shift on the block from `first` to `last`. */
function descendBlock(diagonal, beside, rows, first, last) {
  const n = diagonal.length, d = diagonal, e = beside;
  const half = (d[first + 1] - d[first]) / (2 * e[first]), root = Math.hypot(half, 1);
  let g = d[last] - d[first] + e[first] / (half + (half < 0 ? -root : root));
  let sine = 1, cosine = 1, moved = 0;
  for (let i = last - 1; i >= first; i--) {
    const f = sine * e[i], b = cosine * e[i], length = Math.hypot(f, g);
    e[i + 1] = length;
    if (length === 0) {
      d[i + 1] -= moved;
      e[last] = 0;
      return;
    }
    sine = f / length;
    cosine = g / length;
    g = d[i + 1] - moved;
    const r = (d[i] - g) * sine + 2 * cosine * b;
    moved = sine * r;
    d[i + 1] = g + moved;
    g = cosine * r - b;
    rotate(rows, n, i, cosine, sine);
  }
  d[first] -= moved;
  e[first] = g;
  e[last] = 0;
}

/** Eigenvalues of a symmetric matrix, largest first, and its unit eigenvectors, a row each. */
export function eigen(matrix, n) {
  const { diagonal, beside, rotation } = tridiagonal(matrix, n), rows = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) rows[j * n + i] = rotation[i * n + j];
  for (let first = 0; first < n; first++)
    for (let tries = 0; tries < 60; tries++) {
      const last = split(diagonal, beside, first);
      if (last === first) break;
      descendBlock(diagonal, beside, rows, first, last);
    }
  const order = Array.from(diagonal.keys()).sort((i, j) => diagonal[j] - diagonal[i]);
  const vectors = new Float64Array(n * n);
  order.forEach((from, to) => vectors.set(rows.subarray(from * n, from * n + n), to * n));
  return { values: Float64Array.from(order, (i) => diagonal[i]), vectors };
}
