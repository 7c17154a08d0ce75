// Masks, prompts and styles in the browser: unpacking deltas, cutting sections, drawing them.
// A mask is kept as axial slices, each cropped to what is set: small, and a change replaces only the slices it touches.

const POSITIVE = '#4ade80';
const NEGATIVE = '#f87171';

/** What the server's board says is to be drawn. */
class MaskStore {
  constructor() {
    this.clear();
  }

  /** Forgets everything. */
  clear() {
    this.masks = new Map();
    this.revision = -1;
    this.active = null;
    this.outlines = new Map();
  }

  /**
   * Takes in an answer of the delta route.
   * @param {ArrayBuffer} buffer
   * @returns {{focus: number[]|null, window: number|object|null, view: object|null, stroke: number, taken: string[]}} where to move the crosshair (null:
   *     stays along that axis), which window to take (its number, or its level and width), and the view of a saved
   *     case, if the server asked since the last answer; the last stroke and the messages that the server has
   */
  apply(buffer) {
    const bytes = new Uint8Array(buffer);
    if (String.fromCharCode(...bytes.subarray(0, 4)) !== 'MVD1') throw new Error('The masks came in an unknown form.');
    const length = new DataView(buffer).getUint32(4, true);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    const runs = new Uint16Array(buffer, 8 + length);
    const before = this.masks;
    this.masks = new Map();
    let at = 0;
    for (const item of header.masks) {
      let mask = before.get(item.id);
      if (!mask || mask.born !== item.born) mask = { born: item.born, slices: new Map(), version: 0, voxels: 0 };
      for (const key of ['id', 'name', 'color', 'visible', 'opacity', 'prompts', 'saved']) mask[key] = item[key];
      for (const [k, i0, j0, w, h, count] of item.slices) {
        if (w) mask.slices.set(k, { i0, j0, w, h, ...expandRuns(runs, at, count, w * h) });
        else mask.slices.delete(k);
        at += count;
      }
      if (item.slices.length) {
        mask.version++;
        mask.bounds = boundsOf(mask.slices);
        mask.voxels = 0;
        for (const slice of mask.slices.values()) mask.voxels += slice.count;
      }
      this.masks.set(item.id, mask);
    }
    for (const key of this.outlines.keys()) if (!this.masks.has(key.split('|')[0])) this.outlines.delete(key);
    const focus = header.focus && header.focus.revision > this.revision ? header.focus.ijk : null;
    const preset = header.window && header.window.revision > this.revision ? header.window.own ?? header.window.index : null;
    this.revision = header.revision;
    this.active = header.active;
    return { focus, window: preset, view: header.view, stroke: header.stroke, taken: header.taken };
  }

  /** @returns {number} masks that no export holds as they are now: they would be lost with the page or the scan */
  get unsaved() {
    return [...this.masks.values()].filter((mask) => mask.voxels > 0 && !mask.saved).length;
  }

  /**
   * Outlines of a mask in a slice, in cells of the plane's (h, v) axes; kept until the mask or slice changes.
   * @param {object} mask @param {object} plane one of PLANES @param {number} index
   * @returns {{h0: number, v0: number, loops: Float32Array[]}|null}
   */
  outline(mask, plane, index) {
    const key = mask.id + '|' + plane.name;
    const kept = this.outlines.get(key);
    if (kept && kept.mask === mask && kept.version === mask.version && kept.index === index) return kept.shape;
    const cut = section(mask, plane.axis, index);
    const shape = cut && { h0: cut.h0, v0: cut.v0, loops: traceOutlines(cut.data, cut.w, cut.h) };
    this.outlines.set(key, { mask, version: mask.version, index, shape });
    return shape;
  }
}

/** @param {Uint16Array} runs @param {number} from @param {number} count @param {number} size @returns {{data: Uint8Array, count: number}} cells, and how many are set */
function expandRuns(runs, from, count, size) {
  const data = new Uint8Array(size);
  let set = 0;
  for (let n = 0, at = 0; n < count; n++) {
    const end = at + runs[from + n];
    if (n & 1) {
      data.fill(1, at, end);
      set += end - at;
    }
    at = end;
  }
  return { data, count: set };
}

/** Smallest box round all slices, or null. @param {Map} slices @returns {{lo: number[], hi: number[]}|null} */
function boundsOf(slices) {
  if (!slices.size) return null;
  const lo = [Infinity, Infinity, Infinity];
  const hi = [0, 0, 0];
  for (const [k, s] of slices) {
    [s.i0, s.j0, k].forEach((v, axis) => (lo[axis] = Math.min(lo[axis], v)));
    [s.i0 + s.w, s.j0 + s.h, k + 1].forEach((v, axis) => (hi[axis] = Math.max(hi[axis], v)));
  }
  return { lo, hi };
}

/**
 * A mask's cells in a slice along any axis.
 * @param {object} mask @param {number} axis @param {number} index
 * @returns {{h0: number, v0: number, w: number, h: number, data: Uint8Array}|null} w and h along the plane's h and v axes
 */
function section(mask, axis, index) {
  const box = mask.bounds;
  if (!box || index < box.lo[axis] || index >= box.hi[axis]) return null;
  if (axis === 2) {
    const s = mask.slices.get(index);
    return s ? { h0: s.i0, v0: s.j0, w: s.w, h: s.h, data: s.data } : null;
  }
  const across = axis === 1 ? 0 : 1; // the in-plane axis that is not k
  const w = box.hi[across] - box.lo[across];
  const data = new Uint8Array(w * (box.hi[2] - box.lo[2]));
  for (const [k, s] of mask.slices) {
    const row = (k - box.lo[2]) * w;
    if (axis === 1) {
      const j = index - s.j0;
      if (j >= 0 && j < s.h) data.set(s.data.subarray(j * s.w, (j + 1) * s.w), row + s.i0 - box.lo[0]);
    } else {
      const i = index - s.i0;
      if (i < 0 || i >= s.w) continue;
      const at = row + s.j0 - box.lo[1];
      for (let j = 0; j < s.h; j++) data[at + j] = s.data[j * s.w + i];
    }
  }
  return { h0: box.lo[across], v0: box.lo[2], w, h: box.hi[2] - box.lo[2], data };
}

/**
 * Draws the outline and fill of a mask.
 * @param {CanvasRenderingContext2D} ctx @param {{h0, v0, loops}} shape
 * @param {(h: number, v: number) => number[]} toScreen cell corner to canvas pixels; affine, axes apart
 * @param {object} mask @param {boolean} strong the mask that prompts go to @param {number} ratio canvas pixels a CSS pixel
 */
function drawShape(ctx, shape, toScreen, mask, strong, ratio) {
  const [x0, y0] = toScreen(shape.h0, shape.v0);
  const [x1, y1] = toScreen(shape.h0 + 1, shape.v0 + 1);
  const dx = x1 - x0;
  const dy = y1 - y0;
  ctx.beginPath();
  for (const loop of shape.loops) {
    ctx.moveTo(x0 + loop[0] * dx, y0 + loop[1] * dy);
    for (let n = 2; n < loop.length; n += 2) ctx.lineTo(x0 + loop[n] * dx, y0 + loop[n + 1] * dy);
    ctx.closePath();
  }
  if (mask.opacity > 0) {
    ctx.globalAlpha = mask.opacity;
    ctx.fillStyle = mask.color;
    ctx.fill('evenodd');
  }
  ctx.globalAlpha = strong ? 1 : 0.85;
  ctx.lineWidth = (strong ? 1.75 : 1.25) * ratio;
  ctx.lineJoin = 'bevel';
  ctx.strokeStyle = mask.color;
  ctx.stroke();
  ctx.globalAlpha = 1;
}

/**
 * Draws a point prompt: a disc with plus or minus.
 * @param {CanvasRenderingContext2D} ctx @param {number} x @param {number} y @param {boolean} positive
 * @param {boolean} pending not yet confirmed by the server
 */
function drawPoint(ctx, x, y, positive, pending) {
  const arm = 3;
  ctx.beginPath();
  ctx.arc(x, y, 6, 0, 2 * Math.PI);
  ctx.globalAlpha = pending ? 0.55 : 0.95;
  ctx.fillStyle = positive ? POSITIVE : NEGATIVE;
  ctx.fill();
  ctx.globalAlpha = 1;
  ctx.lineWidth = 1;
  ctx.strokeStyle = 'rgba(0,0,0,0.65)';
  ctx.stroke();
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = '#08110b';
  ctx.beginPath();
  ctx.moveTo(x - arm, y);
  ctx.lineTo(x + arm, y);
  if (positive) {
    ctx.moveTo(x, y - arm);
    ctx.lineTo(x, y + arm);
  }
  ctx.stroke();
}
