// Planes, their orientation on screen, and the window table.
// Voxels are (i, j, k), RAS+: i grows to the patient's right, j to anterior, k to the head. The display is radiological
// (patient's right on the viewer's left), so in every plane both in-plane axes run against the screen's.

/** The three planes: normal axis, horizontal axis, vertical axis, and the letters at left, right, top, bottom. */
const PLANES = [
  { name: 'axial', title: 'Axial', axis: 2, h: 0, v: 1, letters: ['R', 'L', 'A', 'P'] },
  { name: 'coronal', title: 'Coronal', axis: 1, h: 0, v: 2, letters: ['R', 'L', 'S', 'I'] },
  { name: 'sagittal', title: 'Sagittal', axis: 0, h: 1, v: 2, letters: ['A', 'P', 'S', 'I'] },
];

/** @param {number} value @param {number} low @param {number} high @returns {number} */
function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/**
 * Table from an int16 HU (as an unsigned index) to an opaque grey pixel, little-endian RGBA.
 * @param {number} level centre of the window in HU
 * @param {number} width width of the window in HU
 * @param {Uint32Array} table 65536 entries, overwritten
 */
function fillWindowTable(level, width, table) {
  const low = level - width / 2;
  const scale = 255 / Math.max(1, width);
  for (let n = 0; n < 65536; n++) {
    const hu = n < 32768 ? n : n - 65536;
    const grey = clamp(Math.round((hu - low) * scale), 0, 255);
    table[n] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
}

/**
 * Voxel to RAS mm.
 * @param {number[][]} affine 4x4
 * @param {number[]} ijk
 * @returns {number[]}
 */
function toRas(affine, ijk) {
  return [0, 1, 2].map((r) => affine[r][0] * ijk[0] + affine[r][1] * ijk[1] + affine[r][2] * ijk[2] + affine[r][3]);
}

/**
 * RAS mm with the side in letters instead of a sign: "R 12.3  A 4.0  S 101.5".
 * @param {number[]} ras
 * @returns {string}
 */
function rasText(ras) {
  const sides = ['RL', 'AP', 'SI'];
  return ras.map((mm, axis) => sides[axis][mm >= 0 ? 0 : 1] + ' ' + Math.abs(mm).toFixed(1)).join('  ');
}

/**
 * A round length for the scale bar.
 * @param {number} mm about this long at most
 * @returns {number} 1, 2 or 5 times a power of ten, in mm
 */
function niceLength(mm) {
  const power = Math.pow(10, Math.floor(Math.log10(mm)));
  const lead = mm / power;
  return (lead >= 5 ? 5 : lead >= 2 ? 2 : 1) * power;
}

/**
 * A small element; text only as text, never as markup.
 * @param {string} tag @param {string} className @param {string} [text]
 * @returns {HTMLElement}
 */
function make(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Sets text only when it differs, so that nothing is laid out for nothing. @param {Element} node @param {string} text */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
