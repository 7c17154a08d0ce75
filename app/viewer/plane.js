// One plane on screen: a canvas for the slice with its masks, one above it for prompts, and a crosshair of elements,
// so that moving the crosshair in one plane does not repaint the pictures of the others.

const MAX_RATIO = 2; // canvas pixels a CSS pixel; more only costs time
const MAX_ZOOM = 20;
const HAIR = 4000; // CSS pixels, longer than any plane
const HAIR_GAP = 10;
const WORDY = 340; // CSS pixels; a narrower plane has no room for the slab's words
const SMALL = 280; // CSS pixels; a narrower plane shows less in words

/** A plane's picture, its zoom and pan. */
class PlaneView {
  /**
   * @param {object} plane one of PLANES
   * @param {object} viewer holds volume, store, ijk, table and what is to be shown
   */
  constructor(plane, viewer) {
    this.plane = plane;
    this.viewer = viewer;
    this.zoom = 1;
    this.pan = [0, 0]; // CSS pixels at zoom 1
    this.size = [0, 0];
    this.dirtyPicture = this.dirtyMarks = true;
    this.index = -1;
    this._build();
    this.pixels = document.createElement('canvas');
    this.stale = true; // the pixels are not those of the present slice and window
  }

  /** Makes the plane's elements. */
  _build() {
    const root = make('section', 'mv-plane');
    root.dataset.plane = this.plane.name;
    root.setAttribute('aria-label', this.plane.title + ' plane');
    this.picture = make('canvas', 'mv-picture');
    this.marks = make('canvas', 'mv-marks');
    root.append(this.picture, this.marks);
    ['left', 'right', 'top', 'bottom'].forEach((side, n) =>
      root.append(make('span', 'mv-letter mv-' + side, this.plane.letters[n])));
    const head = make('div', 'mv-head');
    head.append(make('span', 'mv-title', this.plane.title));
    this.counter = make('span', 'mv-counter');
    head.append(this.counter);
    this.bar = make('div', 'mv-scale');
    this.barText = make('span', 'mv-scale-text');
    this.bar.append(this.barText, make('i', 'mv-scale-bar'));
    this.expand = make('button', 'mv-expand');
    this.expand.type = 'button';
    this.expand.append(this.viewer.icon('expand'));
    this.labelExpand(false);
    root.append(head, this.bar, this.expand);
    for (const [name, label, act] of [
      ['play', 'Play the slices (J)', () => this.viewer.cine.toggle(this)],
      ['photo', 'Save this picture as PNG (I)', () => savePicture(this)],
    ]) {
      const button = make('button', 'mv-corner mv-' + name);
      button.type = 'button';
      button.append(this.viewer.icon(name));
      button.title = label;
      button.setAttribute('aria-label', label + ', ' + this.plane.name);
      button.addEventListener('click', act);
      root.append(button);
    }
    // The crosshair is four thin elements that are only moved: cheaper than a canvas repainted for every slice.
    this.hairs = ['left', 'right', 'up', 'down'].map((side) => {
      const hair = make('i', side === 'left' || side === 'right' ? 'mv-hair mv-level' : 'mv-hair mv-upright');
      root.append(hair);
      return hair;
    });
    this.ring = make('i', 'mv-ring');
    this.ring.hidden = true;
    root.append(this.ring);
    this.root = root;
    this.context = this.picture.getContext('2d', { alpha: false });
    this.marksContext = this.marks.getContext('2d');
  }

  /** @returns {{volume: Volume, store: MaskStore}} the scan and the masks that it shows */
  get shown() {
    return this.viewer.prior.swapped ? this.viewer.prior : this.viewer;
  }

  /** @param {boolean} alone whether one plane has all the room */
  labelExpand(alone) {
    const label = alone ? 'Show all planes' : 'Enlarge the ' + this.plane.name + ' plane';
    this.expand.setAttribute('aria-label', label);
    this.expand.title = label + ' (E or double click)';
  }

  /** Fits the canvases to the element. */
  resize() {
    const size = [this.root.clientWidth, this.root.clientHeight];
    const ratio = Math.min(MAX_RATIO, window.devicePixelRatio || 1);
    if (size[0] === this.size[0] && size[1] === this.size[1] && ratio === this.ratio) return;
    this.size = size;
    this.root.classList.toggle('mv-small', size[0] < SMALL);
    this.ratio = ratio;
    for (const canvas of [this.picture, this.marks]) {
      canvas.width = Math.round(size[0] * ratio);
      canvas.height = Math.round(size[1] * ratio);
    }
    this.dirtyPicture = this.dirtyMarks = true;
  }

  /** Takes on another volume. */
  reset() {
    const { shape, spacing } = this.viewer.volume;
    const { h, v } = this.plane;
    this.cells = [shape[h], shape[v]];
    this.cellMm = [spacing[h], spacing[v]];
    this.pixels.width = shape[h];
    this.pixels.height = shape[v];
    this.pixelsContext = this.pixels.getContext('2d', { alpha: false });
    this.image = this.pixelsContext.createImageData(shape[h], shape[v]);
    this.words = new Uint32Array(this.image.data.buffer);
    this.fit();
    this.stale = true;
  }

  /** Whole slice in view. */
  fit() {
    this.zoom = 1;
    this.pan = [0, 0];
    this.dirtyPicture = this.dirtyMarks = true;
  }

  /** @returns {{x: number, y: number, dx: number, dy: number, mm: number}} slice corner and cell size in CSS pixels */
  view() {
    const [w, h] = this.size;
    const wide = this.cells[0] * this.cellMm[0];
    const high = this.cells[1] * this.cellMm[1];
    const mm = Math.min((w - 4) / wide, (h - 4) / high) * this.zoom;
    return {
      x: w / 2 + this.pan[0] * this.zoom - (wide * mm) / 2,
      y: h / 2 + this.pan[1] * this.zoom - (high * mm) / 2,
      dx: this.cellMm[0] * mm,
      dy: this.cellMm[1] * mm,
      mm,
    };
  }

  /**
   * Voxel to CSS pixels in the plane; integers are voxel centres.
   * @param {number[]} ijk
   * @returns {number[]}
   */
  toScreen(ijk) {
    const view = this.view();
    const { h, v } = this.plane;
    return [view.x + (this.cells[0] - 0.5 - ijk[h]) * view.dx, view.y + (this.cells[1] - 0.5 - ijk[v]) * view.dy];
  }

  /**
   * CSS pixels in the plane to continuous voxel coordinates on the present slice.
   * @param {number} x @param {number} y
   * @returns {number[]}
   */
  toVoxel(x, y) {
    const view = this.view();
    const ijk = this.viewer.ijk.slice();
    ijk[this.plane.h] = this.cells[0] - 0.5 - (x - view.x) / view.dx;
    ijk[this.plane.v] = this.cells[1] - 0.5 - (y - view.y) / view.dy;
    return ijk;
  }

  /** Nearest voxel, or null outside the slice. @param {number} x @param {number} y @returns {number[]|null} */
  voxelAt(x, y) {
    const ijk = this.toVoxel(x, y).map(Math.round);
    const { h, v } = this.plane;
    const inside = ijk[h] >= 0 && ijk[v] >= 0 && ijk[h] < this.cells[0] && ijk[v] < this.cells[1];
    return inside ? ijk : null;
  }

  /** Zoom about a point. @param {number} factor @param {number} x @param {number} y */
  zoomAt(factor, x, y) {
    const before = this.zoom;
    this.zoom = clamp(before * factor, 0.5, MAX_ZOOM);
    const [w, h] = this.size;
    this.pan[0] += (x - w / 2) * (1 / this.zoom - 1 / before);
    this.pan[1] += (y - h / 2) * (1 / this.zoom - 1 / before);
    this._holdPan();
  }

  /** @param {number} dx CSS pixels @param {number} dy */
  panBy(dx, dy) {
    this.pan[0] += dx / this.zoom;
    this.pan[1] += dy / this.zoom;
    this._holdPan();
  }

  /** Keeps part of the slice in view. */
  _holdPan() {
    this.pan = this.pan.map((p, n) => clamp(p, -this.size[n] / 2, this.size[n] / 2));
    this.dirtyPicture = this.dirtyMarks = true;
  }

  /** Pans if the crosshair has left the view. */
  reveal() {
    if (!this.size[0]) return;
    const [x, y] = this.toScreen(this.viewer.ijk);
    const out = x < 0 || y < 0 || x > this.size[0] || y > this.size[1];
    if (out) this.panBy(this.size[0] / 2 - x, this.size[1] / 2 - y);
  }

  /** Paints what has changed. @returns {boolean} whether anything was */
  draw() {
    if (!this.size[0] || !this.cells || !(this.dirtyPicture || this.dirtyMarks)) return false;
    if (this.dirtyPicture) this._drawPicture();
    this._drawMarks();
    this.dirtyPicture = this.dirtyMarks = false;
    return true;
  }

  /** The slice and the masks in it. */
  _drawPicture() {
    const { viewer, plane, ratio, context: ctx } = this;
    const { volume, store } = this.shown;
    const index = viewer.ijk[plane.axis];
    if (this.stale || index !== this.index) {
      if (viewer.slab.mode) viewer.slab.draw(volume, plane.axis, index, viewer.table, this.words);
      else volume.slice(plane.axis, index, viewer.table, this.words);
      this.pixelsContext.putImageData(this.image, 0, 0);
      this.index = index;
      this.stale = false;
    }
    const view = this.view();
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.fillStyle = '#000';
    ctx.fillRect(0, 0, this.picture.width, this.picture.height);
    ctx.imageSmoothingEnabled = true;
    ctx.imageSmoothingQuality = 'low';
    const [w, h] = [this.cells[0] * view.dx, this.cells[1] * view.dy].map((n) => n * ratio);
    ctx.drawImage(this.pixels, view.x * ratio, view.y * ratio, w, h);
    if (viewer.masksShown) {
      const toScreen = (cellH, cellV) => [
        (view.x + (this.cells[0] - cellH) * view.dx) * ratio,
        (view.y + (this.cells[1] - cellV) * view.dy) * ratio,
      ];
      for (const mask of store.masks.values()) {
        const shape = mask.visible && store.outline(mask, plane, index);
        if (shape) drawShape(ctx, shape, toScreen, mask, mask.id === store.active, ratio);
      }
    }
    setText(this.counter, index + 1 + ' / ' + viewer.volume.shape[plane.axis] + (this.size[0] < WORDY ? '' : viewer.slab.words));
    this._drawScale(view.mm);
  }

  /** Scale bar. @param {number} mm CSS pixels a mm */
  _drawScale(mm) {
    const length = niceLength(Math.max(24, Math.min(110, this.size[0] * 0.28)) / mm);
    const width = (length * mm).toFixed(1) + 'px';
    const line = this.bar.lastChild;
    if (line.style.width !== width) line.style.width = width;
    setText(this.barText, length >= 10 ? length / 10 + ' cm' : length + ' mm');
  }

  /** Moves the crosshair; a hair is HAIR long and ends or begins beside the gap round the voxel. */
  _moveHairs() {
    const [x, y] = this.toScreen(this.viewer.ijk).map(Math.round);
    const places = [[x - HAIR_GAP - HAIR, y], [x + HAIR_GAP, y], [x, y - HAIR_GAP - HAIR], [x, y + HAIR_GAP]];
    places.forEach(([left, top], n) => {
      this.hairs[n].style.transform = 'translate(' + left + 'px, ' + top + 'px)';
    });
  }

  /** Prompts, the box being drawn, and lengths; an empty canvas stays untouched. */
  _drawMarks() {
    this._moveHairs();
    const { viewer, plane, ratio, marksContext: ctx } = this;
    const own = this.shown === viewer; // prompts and lengths belong to the open scan
    const index = viewer.ijk[plane.axis];
    const marks = !own ? [] : viewer.pending.map((prompt) => [prompt, '#ffffff', true]);
    if (own && viewer.draft && viewer.draft.plane === plane) marks.push([viewer.draft, '#ffffff', true]);
    for (const mask of viewer.masksShown && own ? viewer.store.masks.values() : []) {
      if (mask.visible) for (const prompt of mask.prompts) marks.unshift([prompt, mask.color, false]);
    }
    const here = marks.filter(([prompt]) =>
      prompt.kind === 'point'
        ? prompt.ijk[plane.axis] === index
        : index >= prompt.lo[plane.axis] && index < prompt.hi[plane.axis]);
    const drawn = own && (here.length + viewer.rulers.on(plane).length > 0 || viewer.lasso.on(this));
    if (!drawn && !this.marked) return;
    this.marked = drawn;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, this.size[0], this.size[1]);
    for (const [prompt, color, pending] of here) this._drawPrompt(ctx, prompt, color, pending);
    if (!drawn) return;
    viewer.rulers.draw(this, ctx);
    viewer.lasso.draw(this, ctx);
  }

  /** @param {CanvasRenderingContext2D} ctx @param {object} prompt @param {string} color @param {boolean} pending */
  _drawPrompt(ctx, prompt, color, pending) {
    const { h, v } = this.plane;
    if (prompt.kind === 'point') {
      drawPoint(ctx, ...this.toScreen(prompt.ijk), prompt.positive, pending);
      return;
    }
    const view = this.view();
    ctx.strokeStyle = color;
    ctx.lineWidth = 1.5;
    ctx.setLineDash(pending ? [4, 3] : []);
    ctx.strokeRect(
      view.x + (this.cells[0] - prompt.hi[h]) * view.dx,
      view.y + (this.cells[1] - prompt.hi[v]) * view.dy,
      (prompt.hi[h] - prompt.lo[h]) * view.dx,
      (prompt.hi[v] - prompt.lo[v]) * view.dy,
    );
    ctx.setLineDash([]);
  }
}
