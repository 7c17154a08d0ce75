// Lengths in mm, drawn in a plane. They stay in the browser and with their slice, and go with the scan; an export takes
// them along.

const RULER = '#ffe08a';
const GRIP = 10; // CSS pixels from which an end or a line is caught
const GRIP_TOUCH = 22; // the same for a finger
const SHORTEST = 3; // CSS pixels; a shorter drag was a click

/**
 * Distance of two places of the scan in mm; true for uneven spacing, oblique and tilted scans.
 * @param {number[][]} affine 4x4, voxel to RAS mm
 * @param {number[]} a continuous voxel coordinates @param {number[]} b
 * @returns {number}
 */
function lengthMm(affine, a, b) {
  const [from, to] = [toRas(affine, a), toRas(affine, b)];
  return Math.hypot(...to.map((mm, axis) => mm - from[axis]));
}

/** @param {number} mm @returns {string} one decimal, as a caliper is read */
function lengthText(mm) {
  return mm.toFixed(1) + ' mm';
}

/** Distance of a point from a line between two others. @param {number[]} p @param {number[]} a @param {number[]} b */
function offLine([px, py], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const t = clamp(((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy || 1), 0, 1);
  return Math.hypot(px - ax - t * dx, py - ay - t * dy);
}

/** The lengths of the open scan, and the one under the pointer. */
class Rulers {
  /** @param {object} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.clear();
  }

  /** Forgets all. */
  clear() {
    this.list = [];
    this.selected = null;
    this.held = null; // {ruler, end, fresh} while one is drawn or changed
  }

  /** Lengths of the slice that a plane shows. @param {object} plane one of PLANES @returns {object[]} */
  on(plane) {
    const index = this.viewer.ijk[plane.axis];
    return this.list.filter((ruler) => ruler.plane === plane && ruler.index === index);
  }

  /** @param {object} ruler @returns {number} mm */
  mm(ruler) {
    return lengthMm(this.viewer.volume.info.affine, ...ruler.ends);
  }

  /** What an export takes along. @returns {{scan: string, list: object[]}} slices and voxel coordinates from 0 */
  get exported() {
    const list = this.list.map(({ plane, index, ends }) => ({ plane: plane.name, slice: index, ends }));
    return { scan: this.viewer.volume ? this.viewer.volume.token : '', list };
  }

  /** What is to be read of the selected length, if its slice is shown. @returns {string} */
  get text() {
    const ruler = this.selected;
    return ruler && this.on(ruler.plane).includes(ruler) ? 'Length ' + lengthText(this.mm(ruler)) : '';
  }

  /** The pointer goes down: an end or a line is caught, or a new length begins. @param {PlaneView} view */
  press(view, x, y, touch) {
    const near = touch ? GRIP_TOUCH : GRIP;
    for (const ruler of this.on(view.plane).reverse()) {
      const ends = ruler.ends.map((end) => view.toScreen(end));
      const end = ends.findIndex(([ex, ey]) => Math.hypot(ex - x, ey - y) <= near);
      if (end >= 0 || offLine([x, y], ...ends) <= near / 2) {
        this.selected = ruler;
        this.held = end < 0 ? null : { ruler, end, fresh: false };
        return this._changed();
      }
    }
    const place = this._place(view, x, y);
    const ruler = { plane: view.plane, index: this.viewer.ijk[view.plane.axis], ends: [place, place] };
    this.list.push(ruler);
    this.held = { ruler, end: 1, fresh: true, from: [x, y] };
    this.selected = ruler;
    this._changed();
  }

  /** The pointer moves. @param {PlaneView} view */
  drag(view, x, y) {
    if (!this.held) return;
    this.held.ruler.ends[this.held.end] = this._place(view, x, y);
    this._changed();
  }

  /** The pointer goes up: the length stays, unless it was only a click. @param {PlaneView} view */
  release(view, x, y) {
    const held = this.held;
    this.held = null;
    if (held && held.fresh && Math.hypot(x - held.from[0], y - held.from[1]) < SHORTEST) this._drop(held.ruler);
    this._changed();
  }

  /** Gives up the length that is being drawn. @returns {boolean} whether there was one */
  cancel() {
    const held = this.held;
    this.held = null;
    if (held && held.fresh) this._drop(held.ruler);
    if (held) this._changed();
    return Boolean(held);
  }

  /** Removes the selected length, or else the newest that is in view. @returns {boolean} whether there was one */
  remove() {
    const seen = PLANES.flatMap((plane) => this.on(plane));
    const ruler = seen.includes(this.selected) ? this.selected : this.list.filter((one) => seen.includes(one)).pop();
    if (!ruler) return false;
    this.held = null;
    this._drop(ruler);
    this._changed();
    return true;
  }

  /** Continuous voxel coordinates, held in the scan. */
  _place(view, x, y) {
    const { shape } = this.viewer.volume;
    return view.toVoxel(x, y).map((n, axis) => clamp(n, -0.5, shape[axis] - 0.5));
  }

  _drop(ruler) {
    this.list = this.list.filter((other) => other !== ruler);
    if (this.selected === ruler) this.selected = null;
  }

  _changed() {
    this.viewer.refresh();
    this.viewer.touch(false);
  }

  /** Draws what a plane shows of them. @param {PlaneView} view @param {CanvasRenderingContext2D} ctx in CSS pixels */
  draw(view, ctx) {
    for (const ruler of this.on(view.plane)) {
      const ends = ruler.ends.map((end) => view.toScreen(end));
      drawRuler(ctx, ends, lengthText(this.mm(ruler)), ruler === this.selected, view.size);
    }
  }
}

/**
 * A line with a bar across each end and its length beside the second one.
 * @param {CanvasRenderingContext2D} ctx @param {number[][]} ends @param {string} text
 * @param {boolean} strong selected @param {number[]} size of the plane in CSS pixels
 */
function drawRuler(ctx, [[ax, ay], [bx, by]], text, strong, size) {
  const long = Math.hypot(bx - ax, by - ay) || 1;
  const [nx, ny] = [((by - ay) / long) * 5, (-(bx - ax) / long) * 5];
  for (const [color, width] of [['rgba(0,0,0,0.7)', strong ? 4 : 3], [RULER, strong ? 2 : 1.25]]) {
    ctx.strokeStyle = color;
    ctx.lineWidth = width;
    ctx.beginPath();
    ctx.moveTo(ax, ay);
    ctx.lineTo(bx, by);
    for (const [x, y] of [[ax, ay], [bx, by]]) {
      ctx.moveTo(x - nx, y - ny);
      ctx.lineTo(x + nx, y + ny);
    }
    ctx.stroke();
  }
  ctx.font = (strong ? '600 ' : '') + '12px system-ui, sans-serif';
  const wide = ctx.measureText(text).width + 8;
  const x = clamp(bx + (bx >= ax ? 10 : -10 - wide), 2, Math.max(2, size[0] - wide - 2));
  const y = clamp(by + (by >= ay ? 6 : -24), 2, Math.max(2, size[1] - 20));
  ctx.fillStyle = 'rgba(0,0,0,0.72)';
  ctx.fillRect(x, y, wide, 18);
  ctx.fillStyle = RULER;
  ctx.textBaseline = 'middle';
  ctx.fillText(text, x + 4, y + 9.5);
}
