// Values in a circle, a rectangle or a sphere, from the voxels that the browser has.

const BINS = 8192; // of HU, from LOWEST_HU on
const LOWEST_HU = -2048;

/**
 * Values of the voxels whose centres lie in a region.
 * @param {object} volume @param {object} ruler @param {number} radius in mm
 * @returns {{mean, sd, least, most, mm2, ml, counts}|null} counts of HU for a histogram; null where the full resolution is not here
 */
function regionValues(volume, ruler, radius) {
  const { shape, spacing, fine, info } = volume;
  const { axis } = ruler.plane;
  const flat = ruler.kind !== 'sphere';
  const [from, to] = ruler.ends;
  const box = ruler.kind === 'rectangle' && from.map((v, n) => (n === axis ? 1 : Math.abs(v - to[n]) / 2 + 1e-6));
  const centre = box ? middle(from, to) : from;
  const counts = new Uint32Array(BINS);
  const lo = [0, 0, 0];
  const hi = [0, 0, 0];
  for (let a = 0; a < 3; a++) {
    const reach = box ? box[a] + 1 : radius / spacing[a] + 1;
    lo[a] = flat && a === axis ? ruler.index : Math.max(0, Math.floor(centre[a] - reach));
    hi[a] = flat && a === axis ? ruler.index : Math.min(shape[a] - 1, Math.ceil(centre[a] + reach));
  }
  let [count, sum, square, least, most, near, nearest] = [0, 0, 0, Infinity, -Infinity, Infinity, 0];
  for (let k = lo[2]; k <= hi[2]; k++) {
    const slab = fine.data[Math.floor(k / fine.depth)];
    if (!slab) return null;
    for (let j = lo[1]; j <= hi[1]; j++) {
      for (let i = lo[0]; i <= hi[0]; i++) {
        const far = lengthMm(info.affine, [i, j, k], centre);
        const hu = slab[i + shape[0] * (j + shape[1] * (k % fine.depth))];
        if (far < near) [near, nearest] = [far, hu];
        const out = box ? [i, j, k].some((n, at) => Math.abs(n - centre[at]) > box[at]) : far > radius + 1e-6;
        if (out) continue;
        count++;
        counts[clamp(hu - LOWEST_HU, 0, BINS - 1)]++;
        sum += hu;
        square += hu * hu;
        if (hu < least) least = hu;
        if (hu > most) most = hu;
      }
    }
  }
  if (!count) {
    [count, sum, square, least, most] = [1, nearest, nearest * nearest, nearest, nearest];
    counts[clamp(nearest - LOWEST_HU, 0, BINS - 1)]++;
  }
  const mean = sum / count;
  const volumeMm3 = Math.abs(determinant(info.affine)) * count;
  return { mean, sd: Math.sqrt(Math.max(0, square / count - mean * mean)), least, most, count, counts, mm2: volumeMm3 / spacing[axis], ml: volumeMm3 / 1000 };
}

/** @param {number[][]} m 4x4 affine @returns {number} determinant of its linear part */
function determinant(m) {
  return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
    m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}
