// Brush and eraser: a stroke is drawn on the browser's own copy of the mask at once, and goes to the server as run
// lengths of the slices it touched. The server's answer takes its place.

const BRUSH_MIN = 0.5;
const BRUSH_MAX = 50; // mm
const DRAFT = 'draft'; // id of a mask that the server has not named yet

/** What is painted with, the stroke under the pointer, and strokes that the server has not taken in yet. */
class Brush {
  /** @param {object} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.radius = 6; // mm
    this.ball = false;
    this.range = null; // [low, high] in HU
    this.most = 500; // mL that a region grows to
    this.count = 0;
    this.clear();
  }

  /** Forgets strokes: another scan is shown. */
  clear() {
    this.stroke = null;
    this.waiting = []; // the first of them is on its way
    this.left = []; // those of the page before it was loaded again that no server had taken in
  }

  /** @returns {boolean} whether the tool paints */
  get on() {
    return this.viewer.tool === 'brush' || this.viewer.tool === 'erase';
  }

  /** @param {number} mm */
  setRadius(mm) {
    this.radius = clamp(Math.round(mm * 2) / 2, BRUSH_MIN, BRUSH_MAX);
    this.viewer.options.refresh();
    this.viewer.showRing();
  }

  /** The pointer goes down. @param {PlaneView} view @param {boolean} add false erases */
  press(view, x, y, add) {
    if (this.begin(add)) this.drag(view, x, y);
  }

  /** Begins a stroke on the active mask, or on a new one. @param {boolean} add false erases @returns {boolean} */
  begin(add) {
    const { viewer } = this;
    if (!viewer.current) return false;
    const last = this.waiting.length ? this.waiting[this.waiting.length - 1].id : viewer.store.active;
    if (!add && !last) {
      viewer.hint('Select the mask to erase from in the list of masks.');
      return false;
    }
    this.stroke = { n: 0, id: last, add, hu: this.range && this.range.slice(), slices: new Map(), at: null };
    return true;
  }

  /** The pointer moves. @param {PlaneView} view */
  drag(view, x, y) {
    const { stroke, viewer } = this;
    if (!stroke) return;
    const to = view.toVoxel(x, y);
    const from = stroke.at || to;
    const { spacing } = viewer.volume;
    const way = Math.hypot(...to.map((n, axis) => (n - from[axis]) * spacing[axis]));
    const steps = Math.max(1, Math.ceil(way / Math.max(this.radius / 3, Math.min(...spacing) / 2)));
    const mask = this._mask(stroke);
    const lo = [Infinity, Infinity, Infinity];
    const hi = [-1, -1, -1];
    for (let s = stroke.at ? 1 : steps; s <= steps; s++) {
      const box = this._dab(view, mask, from.map((n, axis) => n + ((to[axis] - n) * s) / steps));
      for (let a = 0; a < 3; a++) {
        lo[a] = Math.min(lo[a], box.lo[a]);
        hi[a] = Math.max(hi[a], box.hi[a]);
      }
    }
    stroke.at = to;
    if (mask) finishDrawing(mask);
    for (const other of viewer.views) { // where nothing of it is to be seen nothing is painted
      const at = viewer.ijk[other.plane.axis];
      if (at >= lo[other.plane.axis] && at <= hi[other.plane.axis]) other.dirtyPicture = true;
    }
    viewer.wake();
  }

  /** The pointer goes up: the stroke is sent. @returns {boolean} whether it holds a voxel */
  release() {
    const stroke = this.stroke;
    this.stroke = null;
    if (!stroke || !stroke.slices.size) return false;
    stroke.n = ++this.count;
    if (!stroke.id) stroke.id = DRAFT;
    this.waiting.push(stroke);
    this.viewer.tabThen = openTab();
    if (this.waiting.length === 1) this._send();
    return true;
  }

  /** Takes a voxel into the stroke, if its HU are in the range. @returns {object|undefined} its slice of the stroke */
  mark(i, j, k) {
    const { slices, hu } = this.stroke;
    const [nx, ny] = this.viewer.volume.shape;
    let part = slices.get(k);
    if ((part && part.data[i + nx * j]) || (hu && !this._inRange(i, j, k))) return part;
    if (!part) {
      part = { data: new Uint8Array(nx * ny), lo: [i, j], hi: [i, j] };
      slices.set(k, part);
    }
    part.data[i + nx * j] = 1;
    part.lo = [Math.min(part.lo[0], i), Math.min(part.lo[1], j)];
    part.hi = [Math.max(part.hi[0], i), Math.max(part.hi[1], j)];
    return part;
  }

  /** Draws a stroke that was marked voxel by voxel. */
  finish() {
    this._redraw(this.stroke);
    this.viewer.touch(true);
  }

  /** Gives the stroke up. @returns {boolean} whether there was one */
  cancel() {
    const stroke = this.stroke;
    this.stroke = null;
    if (stroke && stroke.slices.size) this.viewer.refetch();
    return Boolean(stroke);
  }

  /** The server's masks have come: what it has not taken in is drawn on them again. @param {number} taken number of the last stroke in them */
  settle(taken) {
    this.count = Math.max(this.count, taken); // a page that was loaded again goes on counting
    const before = this.waiting.length;
    this.waiting = this.waiting.filter((stroke) => stroke.n > taken);
    const { shape } = this.viewer.volume;
    for (const one of this.left) {
      const slices = new Map(one.slices.map((row) => [row[0], unpackSlice(row, shape)]));
      this.waiting.push({ ...one, n: ++this.count, slices, at: null });
    }
    const idle = this.waiting.length < before || this.left.length;
    this.left = [];
    if (idle && this.waiting.length) this._send();
    for (const stroke of [...this.waiting, ...(this.stroke ? [this.stroke] : [])]) this._redraw(stroke);
  }

  /** Strokes that the server has not taken in, for a page that is loaded again. @returns {object[]} */
  get kept() {
    const nx = this.viewer.volume.shape[0];
    return this.waiting.map(({ id, add, hu, slices }) => ({ id, add, hu, slices: [...slices].map(([k, part]) => packSlice(k, part, nx)) }));
  }

  _send() {
    const stroke = this.waiting[0];
    if (stroke.id === DRAFT && stroke.n > 1 && this.named) stroke.id = this.named; // the stroke before has made the mask
    const slices = [...stroke.slices].map(([k, part]) => packSlice(k, part, this.viewer.volume.shape[0]));
    const id = stroke.id === DRAFT ? null : stroke.id;
    trigger('stroke', { n: stroke.n, id, add: stroke.add, hu: stroke.hu, slices });
  }

  /**
   * A disc in the plane, or a ball, round a place.
   * @param {PlaneView} view @param {object|undefined} mask to draw it on @param {number[]} centre continuous voxel coordinates
   * @returns {{lo: number[], hi: number[]}} first and last voxels that it may have changed
   */
  _dab(view, mask, centre) {
    const { volume } = this.viewer;
    const { shape, spacing } = volume;
    const { axis } = view.plane;
    const lo = [0, 0, 0];
    const hi = [0, 0, 0];
    for (let a = 0; a < 3; a++) {
      const reach = a === axis && !this.ball ? 0 : this.radius / spacing[a];
      lo[a] = Math.max(0, Math.min(Math.ceil(centre[a] - reach), Math.round(centre[a])));
      hi[a] = Math.min(shape[a] - 1, Math.max(Math.floor(centre[a] + reach), Math.round(centre[a])));
    }
    const nearest = centre.map(Math.round);
    const far = this.radius * this.radius;
    for (let k = lo[2]; k <= hi[2]; k++) {
      let part = this.stroke.slices.get(k);
      const dk = axis === 2 && !this.ball ? 0 : (k - centre[2]) * spacing[2];
      for (let j = lo[1]; j <= hi[1]; j++) {
        const dj = axis === 1 && !this.ball ? 0 : (j - centre[1]) * spacing[1];
        for (let i = lo[0]; i <= hi[0]; i++) {
          const di = axis === 0 && !this.ball ? 0 : (i - centre[0]) * spacing[0];
          const mid = i === nearest[0] && j === nearest[1] && k === nearest[2];
          if (di * di + dj * dj + dk * dk > far && !mid) continue;
          part = this.mark(i, j, k);
        }
      }
      if (part && mask) drawPart(mask, k, part, this.stroke.add, shape[0], lo, hi);
    }
    return { lo, hi };
  }

  /** Where the full resolution is not here yet, the server decides. */
  _inRange(i, j, k) {
    const { fine, shape } = this.viewer.volume;
    const slab = fine.data[Math.floor(k / fine.depth)];
    if (!slab) return true;
    const hu = slab[i + shape[0] * (j + shape[1] * (k % fine.depth))];
    return hu >= this.stroke.hu[0] && hu <= this.stroke.hu[1];
  }

  /** The browser's own copy of the mask that a stroke goes to. */
  _mask(stroke) {
    const { masks } = this.viewer.store;
    if (stroke.id && stroke.id !== DRAFT) return masks.get(stroke.id);
    if (!masks.has(DRAFT)) {
      const mask = { id: DRAFT, name: '', color: '#ffffff', visible: true, opacity: 0.3, prompts: [], saved: false };
      masks.set(DRAFT, { ...mask, born: -1, slices: new Map(), version: 0, voxels: 0, bounds: null });
    }
    return masks.get(DRAFT);
  }

  _redraw(stroke) {
    if (stroke.id === DRAFT && this.named) stroke.id = this.named;
    const mask = this._mask(stroke);
    if (!mask) return;
    const { shape } = this.viewer.volume;
    for (const [k, part] of stroke.slices) drawPart(mask, k, part, stroke.add, shape[0], part.lo, part.hi);
    finishDrawing(mask);
  }

  /** Id of the mask that the server made of the first stroke, while one of a new object is on its way. */
  get named() {
    const { store } = this.viewer;
    return store.active !== DRAFT ? store.active : null;
  }
}

/**
 * Sets or clears the cells of a stroke's slice in a mask's slice, which grows where it must.
 * @param {object} mask @param {number} k @param {{data: Uint8Array, lo: number[], hi: number[]}} part @param {boolean} add
 * @param {number} nx columns of the part's data @param {number[]} lo lowest i and j looked at @param {number[]} hi highest
 */
function drawPart(mask, k, part, add, nx, lo, hi) {
  const slice = mask.slices.get(k);
  if (!slice && !add) return;
  const [i0, j0] = [Math.max(lo[0], part.lo[0]), Math.max(lo[1], part.lo[1])];
  const [i1, j1] = [Math.min(hi[0], part.hi[0]), Math.min(hi[1], part.hi[1])];
  const own = add ? grown(slice, i0, j0, i1, j1) : slice;
  mask.slices.set(k, own);
  for (let j = Math.max(j0, own.j0); j <= Math.min(j1, own.j0 + own.h - 1); j++) {
    for (let i = Math.max(i0, own.i0); i <= Math.min(i1, own.i0 + own.w - 1); i++) {
      const at = (j - own.j0) * own.w + i - own.i0;
      if (!part.data[i + nx * j] || own.data[at] === Number(add)) continue;
      own.data[at] = Number(add);
      own.count += add ? 1 : -1;
    }
  }
}

/** A slice that also covers a box of cells; with room round it, so that a stroke seldom makes it grow. */
function grown(slice, i0, j0, i1, j1) {
  if (slice && i0 >= slice.i0 && j0 >= slice.j0 && i1 < slice.i0 + slice.w && j1 < slice.j0 + slice.h) return slice;
  const room = 16;
  const a = Math.max(0, Math.min(i0 - room, slice ? slice.i0 : Infinity));
  const b = Math.max(0, Math.min(j0 - room, slice ? slice.j0 : Infinity));
  const w = Math.max(i1 + 1, slice ? slice.i0 + slice.w : 0) - a;
  const h = Math.max(j1 + 1, slice ? slice.j0 + slice.h : 0) - b;
  const data = new Uint8Array(w * h);
  for (let j = 0; slice && j < slice.h; j++) {
    data.set(slice.data.subarray(j * slice.w, (j + 1) * slice.w), (j + slice.j0 - b) * w + slice.i0 - a);
  }
  return { i0: a, j0: b, w, h, data, count: slice ? slice.count : 0 };
}

/** A mask's figures after its slices were drawn on. @param {object} mask */
function finishDrawing(mask) {
  mask.version++;
  mask.saved = false;
  mask.bounds = boundsOf(mask.slices);
  mask.voxels = 0;
  for (const slice of mask.slices.values()) mask.voxels += slice.count;
}

/** A stroke's slice as it travels: [k, i0, j0, width, height, off, on, off, ...]. */
function packSlice(k, part, nx) {
  const [w, h] = [part.hi[0] - part.lo[0] + 1, part.hi[1] - part.lo[1] + 1];
  const row = [k, part.lo[0], part.lo[1], w, h];
  let run = 0;
  let now = 0;
  for (let j = part.lo[1]; j <= part.hi[1]; j++) {
    for (let i = part.lo[0]; i <= part.hi[0]; i++) {
      const cell = part.data[i + nx * j];
      if (cell !== now) {
        row.push(run);
        run = 0;
        now = cell;
      }
      run++;
    }
  }
  row.push(run);
  return row;
}

/** What packSlice packed. @param {number[]} row @param {number[]} shape of the scan @returns {{data: Uint8Array, lo: number[], hi: number[]}} */
function unpackSlice([, i0, j0, w, h, ...runs], [nx, ny]) {
  const data = new Uint8Array(nx * ny);
  let at = 0;
  runs.forEach((run, n) => {
    for (const end = at + run; at < end; at++) if (n & 1) data[i0 + (at % w) + nx * (j0 + Math.floor(at / w))] = 1;
  });
  return { data, lo: [i0, j0], hi: [i0 + w - 1, j0 + h - 1] };
}

/** Tools that have a bar, and the parts of it that each uses. */
const BAR_PARTS = {
  brush: ['size', 'ball', 'bound'],
  erase: ['size', 'ball', 'bound'],
  region: ['ball', 'rectangle'],
  ruler: ['angle', 'axes'],
  lasso: ['asks', 'away', 'bound'],
  grow: ['away', 'bound', 'most'],
};

/**
 * The bar of what the brush paints with.
 * @param {object} viewer
 * @returns {{root: HTMLElement, refresh: () => void}}
 */
function buildBrushBar(viewer) {
  const root = make('div', 'mv-options');
  root.setAttribute('role', 'group');
  root.setAttribute('aria-label', 'Brush');
  const field = (type, label, onchange) => {
    const input = make('input', 'mv-field');
    input.type = type;
    input.setAttribute('aria-label', label);
    input.addEventListener('input', () => onchange(input));
    return input;
  };
  const slider = field('range', 'Radius in mm', (input) => viewer.brush.setRadius(Number(input.value)));
  [slider.min, slider.max, slider.step] = [BRUSH_MIN, BRUSH_MAX, 0.5];
  const radius = make('span', 'mv-radius');
  const ball = make('button', 'mv-button mv-ball', '3-D ball');
  ball.type = 'button';
  ball.title = 'Paint a ball through the slices instead of a disc on one';
  ball.addEventListener('click', () => {
    viewer.brush.ball = !viewer.brush.ball;
    if (viewer.brush.ball && viewer.rulers.form === 'rectangle') viewer.rulers.form = '';
    root.refresh();
    viewer.root.focus({ preventScroll: true });
  });
  const limits = [field('number', 'Lowest HU', take), field('number', 'Highest HU', take)];
  limits.forEach((input, n) => (input.value = n ? '300' : '0'));
  const bound = make('button', 'mv-button mv-bound', 'Only HU');
  bound.type = 'button';
  const most = field('number', 'Largest volume in mL', () => (viewer.brush.most = Math.max(0, Number(most.value))));
  [most.min, most.step, most.value] = ['1', '50', String(viewer.brush.most)];
  most.title = 'A region that runs on beyond this volume is not taken';
  const away = make('button', 'mv-button mv-takes', 'Take away');
  away.type = 'button';
  away.title = 'Take from the mask instead of adding to it (or hold Alt)';
  away.addEventListener('click', () => {
    viewer.lasso.away = !viewer.lasso.away;
    root.refresh();
  });
  const asks = make('button', 'mv-button mv-asks', 'Ask the model');
  asks.type = 'button';
  asks.title = 'The model takes the box round the outline and follows what it holds through the slices; nothing is filled';
  asks.addEventListener('click', () => {
    viewer.lasso.asks = !viewer.lasso.asks;
    root.refresh();
    viewer.root.focus({ preventScroll: true });
  });
  bound.addEventListener('click', () => {
    viewer.brush.range = viewer.brush.range ? null : [0, 0];
    take();
  });
  /** The typed range, where it is one. */
  function take() {
    const [low, high] = limits.map((input) => Number(input.value));
    if (viewer.brush.range) viewer.brush.range = [Math.min(low, high), Math.max(low, high)];
    root.refresh();
  }
  const forms = [['rectangle', 'Rectangle', 'Drag a rectangle instead of a circle'],
    ['angle', 'Angle', 'Drag the first arm to the vertex, then click the end of the second'],
    ['axes', 'Two axes', 'Drag the long axis, then the ends of the short one']].map(([form, word, title]) => {
    const button = make('button', 'mv-button mv-form-' + form, word);
    button.type = 'button';
    button.title = title;
    button.addEventListener('click', () => {
      viewer.rulers.setForm(form);
      root.refresh();
      viewer.root.focus({ preventScroll: true });
    });
    return [form, button];
  });
  const parts = {
    ...Object.fromEntries(forms.map(([form, button]) => [form, [button]])),
    size: [make('span', 'mv-quiet', 'Radius'), slider, radius],
    ball: [ball],
    asks: [asks],
    away: [away],
    bound: [bound, ...limits],
    most: [make('span', 'mv-quiet', 'up to'), most, make('span', 'mv-quiet', 'mL')],
  };
  root.append(...Object.values(parts).flat());
  root.refresh = () => {
    const { brush } = viewer;
    const used = BAR_PARTS[viewer.tool] || [];
    root.hidden = !used.length || !viewer.volume;
    for (const [name, items] of Object.entries(parts)) {
      for (const item of items) item.classList.toggle('mv-away', !used.includes(name));
    }
    setText(ball, viewer.tool === 'region' ? 'Sphere' : '3-D ball');
    bound.title = viewer.tool === 'grow' ? 'Grow in this range; else in the range round the click' : 'Only voxels with HU in this range';
    asks.setAttribute('aria-pressed', String(viewer.lasso.asks));
    away.setAttribute('aria-pressed', String(viewer.lasso.away));
    away.disabled = bound.disabled = viewer.tool === 'lasso' && viewer.lasso.asks; // of what is filled
    slider.value = String(brush.radius);
    setText(radius, brush.radius + ' mm');
    ball.setAttribute('aria-pressed', String(brush.ball));
    for (const [form, button] of forms) button.setAttribute('aria-pressed', String(viewer.rulers.form === form));
    bound.setAttribute('aria-pressed', String(Boolean(brush.range)));
    limits.forEach((input) => (input.hidden = !brush.range));
  };
  return { root, refresh: root.refresh };
}
