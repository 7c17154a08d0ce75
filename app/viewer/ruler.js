// Lengths, angles, axes and regions of interest, drawn in a plane. They stay in the browser and with their slice, and go with the scan; an export takes
// them along.

const RULER = '#ffe08a';
const GRIP = 10; // CSS pixels from which an end or a line is caught
const GRIP_TOUCH = 22; // the same for a finger
const SHORTEST = 3; // CSS pixels; a shorter drag was a click
const REGIONS = ['circle', 'rectangle', 'sphere'];

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

/** Degrees between the arms of an angle whose vertex is the second place. @param {number[][]} affine @param {number[][]} places */
function angleDegrees(affine, [a, vertex, b]) {
  const [p, q, r] = [a, vertex, b].map((place) => toRas(affine, place));
  const [one, other] = [p, r].map((end) => end.map((mm, axis) => mm - q[axis]));
  const both = Math.hypot(...one) * Math.hypot(...other);
  const dot = one.reduce((sum, mm, axis) => sum + mm * other[axis], 0);
  return both ? (Math.acos(clamp(dot / both, -1, 1)) * 180) / Math.PI : 0;
}

/** @param {object} ruler @returns {boolean} whether values are measured in it */
const isRegion = (ruler) => REGIONS.includes(ruler.kind);

const middle = (a, b) => a.map((v, axis) => (v + b[axis]) / 2);

/** The lengths of the open scan, and the one under the pointer. */
class Rulers {
  /** @param {object} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.form = ''; // 'angle' or 'axes' instead of a line, 'rectangle' instead of a circle
    this.clear();
  }

  /** @param {string} form what is drawn next; the same again: the plain one */
  setForm(form) {
    this.form = this.form === form ? '' : form;
    if (this.form === 'rectangle') this.viewer.brush.ball = false;
  }

  /** Forgets all. */
  clear() {
    this.list = [];
    this.inFile = '';
    this.selected = null;
    this.held = null; // {ruler, end, fresh} while one is drawn or changed
  }

  /** What a plane shows on its slice: its own lines and circles, and every sphere that it cuts. @param {object} plane one of PLANES @returns {object[]} */
  on(plane) {
    const index = this.viewer.ijk[plane.axis];
    return this.list.filter((ruler) =>
      ruler.kind === 'sphere' ? this.rim(ruler, plane) > 0 : ruler.plane === plane && ruler.index === index);
  }

  /** Radius in mm of the circle that a region has on the slice that a plane shows. @param {object} ruler @param {object} plane */
  rim(ruler, plane) {
    const off = (this.viewer.ijk[plane.axis] - ruler.ends[0][plane.axis]) * this.viewer.volume.spacing[plane.axis];
    return Math.sqrt(Math.max(0, this.mm(ruler) ** 2 - off * off));
  }

  /** Values in a region: the voxels whose centres lie in it; null while a part of the scan is not here in full. @param {object} ruler */
  values(ruler) {
    const { viewer } = this;
    const key = JSON.stringify(ruler.ends) + ruler.kind + viewer.volume.complete;
    if (ruler.known && ruler.known.key === key) return ruler.known.values;
    const values = regionValues(viewer.volume, ruler, this.mm(ruler));
    ruler.known = { key, values };
    return values;
  }

  /** What there is to read of one, in a few words. @param {object} ruler @returns {string} */
  words(ruler) {
    const { affine } = this.viewer.volume.info;
    if (ruler.kind === 'angle' && ruler.ends.length > 2) return angleDegrees(affine, ruler.ends).toFixed(1) + '\u00b0';
    if (ruler.kind === 'axes') return this.mm(ruler).toFixed(1) + ' \u00d7 ' + lengthText(lengthMm(affine, ...ruler.ends.slice(2)));
    if (!isRegion(ruler)) return lengthText(this.mm(ruler));
    const values = this.values(ruler);
    if (!values) return lengthText(this.mm(ruler));
    const size = ruler.kind !== 'sphere' ? (values.mm2 / 100).toFixed(2) + ' cm\u00b2' : values.ml.toFixed(values.ml < 10 ? 2 : 1) + ' mL';
    return values.mean.toFixed(0) + ' \u00b1 ' + values.sd.toFixed(0) + this.viewer.volume.info.unit + ', ' + size;
  }

  /** The list that a panel shows. @returns {object[]} */
  get told() {
    return this.list.map((ruler, n) => {
      const values = isRegion(ruler) && this.values(ruler);
      const range = values ? values.least + ' to ' + values.most + this.viewer.volume.info.unit : '';
      return { n, kind: ruler.kind, name: ruler.name || '', words: this.words(ruler), range, slice: ruler.index + 1, plane: ruler.plane.name, chosen: Boolean(values) && ruler === this.selected };
    });
  }

  /** @param {number} n of the list @param {string} name */
  rename(n, name) {
    if (this.list[n]) this.list[n].name = name.trim().slice(0, 60);
    this._changed();
  }

  /** Goes to one. @param {number} n of the list */
  jump(n) {
    const ruler = this.list[n];
    if (!ruler) return;
    this.selected = ruler;
    const [a, b] = ruler.ends;
    const at = { circle: a, sphere: a, angle: b }[ruler.kind] || middle(a, b);
    this.viewer.moveTo(at, true);
    this._changed();
  }

  /** @param {number} n of the list */
  drop(n) {
    if (this.list[n]) this._drop(this.list[n]);
    this._changed();
  }

  /** @param {object} ruler @returns {number} mm */
  mm(ruler) {
    return lengthMm(this.viewer.volume.info.affine, ruler.ends[0], ruler.ends[1]);
  }

  /** What an export takes along. @returns {{scan: string, list: object[]}} slices and voxel coordinates from 0 */
  get exported() {
    const drawn = this.list.filter(({ kind, ends }) => kind !== 'angle' || ends.length > 2);
    const list = drawn.map(({ plane, index, ends, kind, name }) => ({ plane: plane.name, slice: index, ends, kind, name: name || '' }));
    return { scan: this.viewer.volume ? this.viewer.volume.token : '', list };
  }

  /** @returns {boolean} whether there are lengths or regions that no file holds as they are now */
  get unsaved() {
    return this.list.length > 0 && JSON.stringify(this.exported.list) !== this.inFile;
  }

  /** These are in a file. @param {object[]} list as exported has them */
  filed(list) {
    this.inFile = JSON.stringify(list);
  }

  /** Takes over lengths of a saved case. @param {object[]} lengths {plane, slice, ends} */
  restore(lengths) {
    this.clear();
    for (const { plane: at, slice, ends, kind, name } of lengths) {
      const plane = PLANES.find((one) => one.name === at);
      if (plane) this.list.push({ plane, index: slice, ends, kind: kind || 'line', name: name || '' });
    }
    this._changed();
  }

  /** What is to be read of the selected length, if its slice is shown. @returns {string} */
  get text() {
    const ruler = this.selected;
    if (!ruler || !this.on(ruler.plane).includes(ruler)) return '';
    return ({ line: 'Length ', angle: 'Angle ', axes: 'Two axes ' }[ruler.kind] || 'Mean \u00b1 SD ') + this.words(ruler);
  }

  /** The pointer goes down: an end or a line is caught, or a new length begins. @param {PlaneView} view */
  press(view, x, y, touch) {
    const near = touch ? GRIP_TOUCH : GRIP;
    if (this.held && this.held.follows && this.follow(view, x, y)) { // the second arm of an angle
      this.held.follows = false;
      return;
    }
    this.cancel();
    for (const ruler of this.on(view.plane).filter((one) => one.plane === view.plane && one.index === this.viewer.ijk[view.plane.axis]).reverse()) {
      const ends = ruler.ends.map((end) => view.toScreen(end));
      const end = ends.findIndex(([ex, ey]) => Math.hypot(ex - x, ey - y) <= near);
      const arms = { line: [[0, 1]], angle: [[0, 1], [1, 2]], axes: [[0, 1], [2, 3]] }[ruler.kind] || [];
      const onLine = arms.some(([a, b]) => ends[b] && offLine([x, y], ends[a], ends[b]) <= near / 2);
      const [cx, cy] = ruler.kind === 'rectangle' ? middle(...ends) : ends[0];
      if (isRegion(ruler) && Math.hypot(cx - x, cy - y) <= near) { // the centre moves all of it
        this.selected = ruler;
        this.held = { ruler, end: 'all', fresh: false, last: this._place(view, x, y) };
        return this._changed();
      }
      if (end >= 0 || onLine) {
        this.selected = ruler;
        this.held = end < 0 ? null : { ruler, end, fresh: false };
        return this._changed();
      }
    }
    this._begin(view, this._place(view, x, y));
    this.held.from = [x, y];
    this._changed();
  }

  /** A place where the crosshair is, by key: the first begins, the others are ends. @param {PlaneView} view */
  mark(view) {
    const place = this.viewer.ijk.slice();
    if (!this.walk()) {
      this.cancel();
      this._begin(view, place);
      this.held.keyed = true;
      this.viewer.hint(KEYED_HINT);
      return this._changed();
    }
    const { held } = this;
    const { ruler, end } = held;
    const from = ruler.ends[ruler.kind === 'angle' && end === 2 ? 1 : 0];
    if (place.every((n, axis) => n === from[axis])) return; // it has no length yet
    if (end === ({ angle: 2, axes: 3 }[ruler.kind] || 1)) this.held = null;
    else {
      held.end++;
      held.fresh = ruler.kind === 'angle'; // half an angle is none, one axis is given a short one
    }
    this.viewer.hint('');
    this._changed();
  }

  /** The end that is being set by keys goes with the crosshair. @returns {boolean} whether there is one on this slice */
  walk() {
    const { held, viewer } = this;
    if (!held || !held.keyed || held.ruler.plane !== viewer.activeView.plane || held.ruler.index !== viewer.ijk[held.ruler.plane.axis]) return false;
    this._move(viewer.ijk.slice());
    return true;
  }

  /** Begins one at a place. */
  _begin(view, place) {
    const { form } = this;
    const kind = this.viewer.tool === 'ruler' ? (form === 'angle' || form === 'axes' ? form : 'line')
      : this.viewer.brush.ball ? 'sphere' : form === 'rectangle' ? form : 'circle';
    const ends = kind === 'axes' ? [place, place, place, place] : [place, place];
    const ruler = { plane: view.plane, index: this.viewer.ijk[view.plane.axis], ends, kind, name: '' };
    this.list.push(ruler);
    this.held = { ruler, end: 1, fresh: true };
    this.selected = ruler;
  }

  /** The pointer moves. @param {PlaneView} view */
  drag(view, x, y) {
    if (this.held) this._move(this._place(view, x, y));
  }

  /** Takes what is held to a place. */
  _move(place) {
    const { ruler, end, last } = this.held;
    if (end === 'all') {
      const { shape } = this.viewer.volume;
      ruler.ends = ruler.ends.map((one) => one.map((v, axis) => clamp(v + place[axis] - last[axis], -0.5, shape[axis] - 0.5)));
      this.held.last = place;
    } else if (ruler.kind === 'axes') this._axis(ruler, end, place);
    else ruler.ends[end] = place;
    this._changed();
  }

  /** The second arm of an angle goes with the pointer until it is pressed. @param {PlaneView} view @returns {boolean} whether there is one here */
  follow(view, x, y) {
    const { held } = this;
    if (!held || !held.follows || held.ruler.plane !== view.plane || held.ruler.index !== this.viewer.ijk[view.plane.axis]) return false;
    held.ruler.ends[2] = this._place(view, x, y);
    this._changed();
    return true;
  }

  /** Moves an end of two axes; the second stays at a right angle to the first. */
  _axis(ruler, end, place) {
    const { h, v } = ruler.plane;
    const { spacing, shape } = this.viewer.volume;
    const flat = (at) => [at[h] * spacing[h], at[v] * spacing[v]];
    const [a, b] = ruler.ends.map(flat);
    const long = Math.hypot(b[0] - a[0], b[1] - a[1]);
    const along = long ? [(b[0] - a[0]) / long, (b[1] - a[1]) / long] : [1, 0];
    const split = (at, [x0, y0], [ux, uy]) => [(at[0] - x0) * ux + (at[1] - y0) * uy, (at[1] - y0) * ux - (at[0] - x0) * uy];
    let [t, ...off] = [0.5, long / 4, -long / 4];
    if (long && !this.held.fresh) {
      const [c, d] = ruler.ends.slice(2).map((at) => split(flat(at), a, along));
      [t, off] = [c[0] / long, [c[1], d[1]]];
    }
    if (end > 1) {
      const [way, far] = split(flat(place), a, along);
      t = clamp(way / (long || 1), 0, 1);
      off[end - 2] = far;
    } else ruler.ends[end] = place;
    const [p, q] = ruler.ends.map(flat);
    const now = Math.hypot(q[0] - p[0], q[1] - p[1]) || 1;
    const [ux, uy] = [(q[0] - p[0]) / now, (q[1] - p[1]) / now];
    if (this.held.fresh) off = [now / 4, -now / 4];
    off.forEach((far, n) => {
      const at = ruler.ends[0].slice();
      const mm = [p[0] + ux * t * now - uy * far, p[1] + uy * t * now + ux * far];
      [at[h], at[v]] = [h, v].map((axis, m) => clamp(mm[m] / spacing[axis], -0.5, shape[axis] - 0.5));
      ruler.ends[2 + n] = at;
    });
  }

  /** The pointer goes up: the length stays, unless it was only a click. @param {PlaneView} view */
  release(view, x, y) {
    const held = this.held;
    this.held = null;
    if (held && held.fresh && Math.hypot(x - held.from[0], y - held.from[1]) < SHORTEST) this._drop(held.ruler);
    else if (held && held.fresh && held.ruler.kind === 'angle' && held.ruler.ends.length < 3) {
      this.held = { ruler: held.ruler, end: 2, fresh: true, follows: true, from: [-SHORTEST, -SHORTEST] };
    }
    this._changed();
  }

  /** Gives up the length that is being drawn. @returns {boolean} whether there was one */
  cancel() {
    const held = this.held;
    this.held = null;
    if (held && held.fresh) this._drop(held.ruler);
    if (held && held.keyed) this.viewer.hint('');
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
    window.dispatchEvent(new CustomEvent('medvl-measured'));
  }

  /** Draws what a plane shows of them. @param {PlaneView} view @param {CanvasRenderingContext2D} ctx in CSS pixels */
  draw(view, ctx) {
    for (const ruler of this.on(view.plane)) {
      const ends = ruler.ends.map((end) => view.toScreen(end));
      const words = (ruler.name ? ruler.name + ': ' : '') + this.words(ruler);
      const strong = ruler === this.selected;
      if (ruler.kind === 'rectangle') drawRectangle(ctx, ends, words, strong, view.size);
      else if (!isRegion(ruler)) {
        if (ends.length > 2) drawRuler(ctx, ruler.kind === 'angle' ? ends.slice(1) : ends.slice(2), '', strong, view.size);
        drawRuler(ctx, ends, words, strong, view.size);
      } else drawRegion(ctx, ends[0], this.rim(ruler, view.plane) * view.view().mm, words, ruler === this.selected, view.size);
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
  if (text) drawWords(ctx, [bx, by], bx >= ax, by >= ay, text, strong, size);
}

/** A rectangle with a cross in its middle and its values beside it; as drawRuler. */
function drawRectangle(ctx, [[ax, ay], [bx, by]], text, strong, size) {
  const [x, y] = [(ax + bx) / 2, (ay + by) / 2];
  for (const [color, width] of [['rgba(0,0,0,0.7)', strong ? 4 : 3], [RULER, strong ? 2 : 1.25]]) {
    ctx.strokeStyle = color;
    ctx.lineWidth = width;
    ctx.beginPath();
    ctx.rect(ax, ay, bx - ax, by - ay);
    if (Math.min(Math.abs(bx - ax), Math.abs(by - ay)) > 24) {
      ctx.moveTo(x - 3, y);
      ctx.lineTo(x + 3, y);
      ctx.moveTo(x, y - 3);
      ctx.lineTo(x, y + 3);
    }
    ctx.stroke();
  }
  drawWords(ctx, [Math.max(ax, bx), Math.max(ay, by)], true, true, text, strong, size);
}

/**
 * A circle with a cross in its centre and its values beside it.
 * @param {CanvasRenderingContext2D} ctx @param {number[]} centre @param {number} radius in CSS pixels @param {string} text
 * @param {boolean} strong selected @param {number[]} size of the plane in CSS pixels
 */
function drawRegion(ctx, [x, y], radius, text, strong, size) {
  for (const [color, width] of [['rgba(0,0,0,0.7)', strong ? 4 : 3], [RULER, strong ? 2 : 1.25]]) {
    ctx.strokeStyle = color;
    ctx.lineWidth = width;
    ctx.beginPath();
    ctx.arc(x, y, Math.max(1, radius), 0, 2 * Math.PI);
    if (radius > 12) {
      ctx.moveTo(x - 3, y);
      ctx.lineTo(x + 3, y);
      ctx.moveTo(x, y - 3);
      ctx.lineTo(x, y + 3);
    }
    ctx.stroke();
  }
  drawWords(ctx, [x + radius * 0.71, y + radius * 0.71], true, true, text, strong, size);
}

/** Words in a dark box beside a place, held in the plane. */
function drawWords(ctx, [bx, by], right, below, text, strong, size) {
  ctx.font = (strong ? '600 ' : '') + '12px system-ui, sans-serif';
  const wide = ctx.measureText(text).width + 8;
  const x = clamp(bx + (right ? 10 : -10 - wide), 2, Math.max(2, size[0] - wide - 2));
  const y = clamp(by + (below ? 6 : -24), 2, Math.max(2, size[1] - 20));
  ctx.fillStyle = 'rgba(0,0,0,0.72)';
  ctx.fillRect(x, y, wide, 18);
  ctx.fillStyle = RULER;
  ctx.textBaseline = 'middle';
  ctx.fillText(text, x + 4, y + 9.5);
}
