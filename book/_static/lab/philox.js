// Random numbers: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// It scrambles a counter, so that Python draws the same numbers from a formula: src/earlystop/philox.py.

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57], WEYL = [0x9e3779b9, 0xbb67ae85];

/** The upper half of a product of two numbers of 32 bits. */
function upper(a, b) {
  const low = a & 0xffff, high = a >>> 16, low2 = b & 0xffff, high2 = b >>> 16;
  const middle = high * low2 + ((low * low2) >>> 16);
  return (high * high2 + (middle >>> 16) + (((middle & 0xffff) + low * high2) >>> 16)) >>> 0;
}

/** Four words of 32 bits from a counter of four and a key of two. */
export function philox(counter, key) {
  let [a, b, c, d] = counter, [k, l] = key;
  for (let round = 0; round < 10; round++) {
    const first = upper(MULTIPLIERS[0], a), second = upper(MULTIPLIERS[1], c);
    const lower = Math.imul(MULTIPLIERS[0], a) >>> 0, lower2 = Math.imul(MULTIPLIERS[1], c) >>> 0;
    [a, b, c, d] = [(second ^ b ^ k) >>> 0, lower2, (first ^ d ^ l) >>> 0, lower];
    k = (k + WEYL[0]) >>> 0;
    l = (l + WEYL[1]) >>> 0;
  }
  return [a, b, c, d];
}

/** The numbers of one seed for one purpose: words, uniforms of 53 bits, normals by Box and Muller. */
export class Stream {
  constructor(seed, purpose) {
    this.key = [seed >>> 0, 0];
    this.purpose = purpose;
    this.block = 0;
    this.words = [];
  }

  word() {
    if (!this.words.length) this.words = philox([this.block++, this.purpose, 0, 0], this.key);
    return this.words.shift();
  }

  /** In [0, 1), from two words. */
  uniform() {
    const high = this.word() >>> 5, low = this.word() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** An integer from 0 to `count` - 1. */
  below(count) {
    return Math.floor(this.uniform() * count);
  }

  /** `count` standard normal numbers, two from every pair of uniforms; the last of an odd count is not kept. */
  normals(count) {
    const values = new Float64Array(count);
    for (let i = 0; i < count; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(1 - this.uniform())), angle = 2 * Math.PI * this.uniform();
      values[i] = radius * Math.cos(angle);
      if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
    }
    return values;
  }
}
