// Lines drawn in a plane that are no length: the lasso (freehand, or corner by corner), which fills what it holds as a
// stroke of the brush or asks the model for it, and the scribble, whose points are prompts of the model.

const LASSO_STEP = 2; // CSS pixels between two places of a freehand line
const LASSO_CATCH = 9; // CSS pixels from which a click on the first corner closes
const SCRIBBLE_POINTS = 6; // prompts of a scribble at most

/** The line that is being drawn. */
class Lasso {
  /** @param {object} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.away = false; // takes from the mask instead of adding to it
    this.asks = false; // the outline goes to the model, which follows what it holds through the slices
    this.clear();
  }

  /** Forgets the line. */
  clear() {
    this.path = []; // continuous voxel coordinates
    this.view = null;
    this.kind = '';
    this.held = this.free = this.alt = false;
    this.tapped = 0;
  }

  /** @param {PlaneView} view @returns {boolean} whether the plane shows it on its slice */
  on(view) {
    return this.view === view && this.path.length > 0 && this.index === this.viewer.ijk[view.plane.axis];
  }

  /** The pointer goes down. @param {PlaneView} view @param {string} kind lasso, positive or negative @param {boolean} alt */
  press(view, x, y, kind, alt) {
    if (!this.on(view) || this.kind !== kind) this.clear();
    if (!this.viewer.current) return;
    const { path } = this;
    this.held = true;
    const [x0, y0] = path.length ? view.toScreen(path[0]) : [Infinity, 0];
    if (path.length > 2 && Math.hypot(x - x0, y - y0) < LASSO_CATCH) return this.close();
    if (!path.length) [this.view, this.index, this.kind, this.alt] = [view, this.viewer.ijk[view.plane.axis], kind, alt];
    path.push(view.toVoxel(x, y));
    this.viewer.touch(false);
  }

  /** The pointer moves with the button down. */
  drag(x, y) {
    const { view, path } = this;
    if (!this.held || !path.length) return;
    const [lastX, lastY] = view.toScreen(path[path.length - 1]);
    const way = Math.hypot(x - lastX, y - lastY);
    if (way < (this.free ? LASSO_STEP : CLICK_SLOP)) return;
    this.free = true;
    path.push(view.toVoxel(x, y));
    this.viewer.touch(false);
  }

  /** The pointer goes up: a line drawn in one go is done; a corner waits for the next, twice at one place ends. */
  release() {
    this.held = false;
    if (this.free) return this.close();
    const { path, view } = this;
    const now = performance.now();
    const [a, b] = path.slice(-2).map((ijk) => view.toScreen(ijk));
    const twice = b && now - this.tapped < DOUBLE_MS && Math.hypot(a[0] - b[0], a[1] - b[1]) < LASSO_CATCH;
    this.tapped = now;
    if (twice) {
      path.pop();
      this.close();
    }
  }

  /** Ends the line. @returns {boolean} whether there was one */
  close() {
    const { viewer, path, view, kind, alt } = this;
    if (!path.length) return false;
    this.clear();
    viewer.touch(false);
    if (kind === 'lasso' && this.asks) this._ask(view, path);
    else if (kind === 'lasso') this._fill(view, path, this.away === alt);
    else viewer.prompt({ kind: 'scribble', points: along(path, viewer.volume.shape), positive: kind === 'positive', axis: view.plane.axis });
    return true;
  }

  /** Takes the last corner back. @returns {boolean} whether there was one */
  back() {
    if (!this.path.length) return false;
    this.path.pop();
    this.viewer.touch(false);
    return true;
  }

  /** Gives the line up. @returns {boolean} whether there was one */
  cancel() {
    const had = this.path.length > 0;
    this.clear();
    if (had) this.viewer.touch(false);
    return had;
  }

  /** Runs of voxels of the slice whose centres lie in an outline. @returns {number[][]} [row, first, last] */
  _runs({ plane: { h, v } }, path) {
    const { shape } = this.viewer.volume;
    const rows = path.map((ijk) => ijk[v]);
    const runs = [];
    const last = Math.min(shape[v] - 1, Math.floor(Math.max(...rows)));
    for (let row = Math.max(0, Math.ceil(Math.min(...rows))); row <= last; row++) {
      const cuts = crossings(path, h, v, row);
      for (let n = 0; n + 1 < cuts.length; n += 2) {
        const run = [row, Math.max(0, Math.ceil(cuts[n])), Math.min(shape[h] - 1, Math.floor(cuts[n + 1]))];
        if (run[1] <= run[2]) runs.push(run);
      }
    }
    return runs;
  }

  /** An outline as a prompt: the box round it. With points inside as well, both lesions that were tried came out worse. */
  _ask(view, path) {
    const { viewer } = this;
    const { axis, h, v } = view.plane;
    const runs = path.length < 3 ? [] : this._runs(view, path);
    if (!runs.length) return viewer.hint('The outline holds no voxel.');
    const [lo, hi] = [viewer.ijk.slice(), viewer.ijk.map((n) => n + 1)];
    [lo[h], hi[h]] = [Math.min(...runs.map((run) => run[1])), Math.max(...runs.map((run) => run[2])) + 1];
    [lo[v], hi[v]] = [runs[0][0], runs[runs.length - 1][0] + 1];
    viewer.prompt({ kind: 'box', lo, hi, axis });
  }

  /** The voxels of the slice whose centres lie in the outline, as a stroke. */
  _fill(view, path, add) {
    const { viewer } = this;
    const { h, v } = view.plane;
    const at = viewer.ijk.slice();
    if (path.length < 3 || !viewer.brush.begin(add)) return;
    for (const [row, first, last] of this._runs(view, path)) {
      at[v] = row;
      for (at[h] = first; at[h] <= last; at[h]++) viewer.brush.mark(...at);
    }
    viewer.brush.finish();
    if (!viewer.brush.release()) viewer.hint('The outline holds no voxel' + (viewer.brush.range ? ' with HU in the range.' : '.'));
  }

  /** @param {PlaneView} view @param {CanvasRenderingContext2D} ctx */
  draw(view, ctx) {
    if (!this.on(view)) return;
    const { pointer } = this.viewer;
    const places = this.path.map((ijk) => view.toScreen(ijk));
    const lasso = this.kind === 'lasso';
    const corners = lasso && !this.free;
    const color = lasso ? '#ffffff' : this.kind === 'positive' ? '#4ade80' : '#f87171';
    if (corners && pointer && pointer.view === view) places.push([pointer.x, pointer.y]);
    ctx.beginPath();
    places.forEach(([x, y]) => ctx.lineTo(x, y));
    for (const [style, width, dash] of [['rgba(0, 0, 0, 0.7)', 3.5, []], [color, 1.5, lasso && this.away !== this.alt ? [5, 3] : []]]) {
      [ctx.strokeStyle, ctx.lineWidth] = [style, width];
      ctx.setLineDash(dash);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    if (!corners) return;
    places.slice(0, this.path.length).forEach(([x, y], n) => {
      ctx.beginPath();
      ctx.arc(x, y, n ? 2.5 : 4.5, 0, 2 * Math.PI);
      ctx.fillStyle = n ? color : '#0b0d10';
      ctx.fill();
      if (!n) ctx.stroke();
    });
  }
}

/** Where a closed outline crosses a row of voxels, in order. @param {number[][]} path @param {number} h @param {number} v @param {number} row */
function crossings(path, h, v, row) {
  const found = [];
  path.forEach((a, n) => {
    const b = path[(n + 1) % path.length];
    if (a[v] <= row !== b[v] <= row) found.push(a[h] + ((row - a[v]) / (b[v] - a[v])) * (b[h] - a[h]));
  });
  return found.sort((a, b) => a - b);
}

/** Voxels spread evenly along a line, each once. @param {number[][]} path @param {number[]} shape @returns {number[][]} */
function along(path, shape) {
  const ways = [0];
  for (let n = 1; n < path.length; n++) ways.push(ways[n - 1] + Math.hypot(...path[n].map((c, axis) => c - path[n - 1][axis])));
  const count = Math.min(SCRIBBLE_POINTS, path.length);
  const found = new Map();
  for (let n = 0; n < count; n++) {
    const wanted = (ways[ways.length - 1] * (n + 0.5)) / count;
    const place = path[ways.findIndex((way) => way >= wanted)];
    const ijk = place.map((c, axis) => clamp(Math.round(c), 0, shape[axis] - 1));
    found.set(ijk.join(), ijk);
  }
  return [...found.values()];
}
