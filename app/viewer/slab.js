// Slabs: the highest, lowest or mean value through a thickness in mm, in every plane.

const SLAB_MODES = [['', 'Single slices'], ['MIP', 'Maximum (MIP)'], ['MinIP', 'Minimum (MinIP)'], ['mean', 'Mean']];
const SLAB_MAX = 100; // mm

/** What is projected, and how thick. */
class Slab {
  /** @param {object} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.mode = ''; // '' for single slices
    this.mm = 10;
  }

  /** @param {string} mode @param {number} mm */
  set(mode, mm) {
    this.mode = mode;
    this.mm = clamp(Number.isFinite(mm) ? mm : this.mm, 1, SLAB_MAX);
    for (const view of this.viewer.views) view.stale = view.dirtyPicture = true;
    this.viewer.refresh();
    this.viewer.wake();
  }

  /** First and last slice of the slab round a slice. @param {number} axis @param {number} index @returns {number[]} */
  reach(axis, index) {
    const { shape, spacing } = this.viewer.volume;
    const count = Math.max(1, Math.round(this.mm / spacing[axis]));
    const first = index - ((count - 1) >> 1);
    return [Math.max(0, first), Math.min(shape[axis] - 1, first + count - 1)];
  }

  /** Words beside the slice number. @returns {string} */
  get words() {
    return this.mode ? '  ' + this.mode + ' ' + this.mm + ' mm' : '';
  }

  /**
   * The slab as pixels, flipped to the screen's directions, as Volume.slice does with a slice.
   * @param {Volume} volume @param {number} axis @param {number} index @param {Uint32Array} table @param {Uint32Array} out
   */
  draw(volume, axis, index, table, out) {
    const values = project(volume, axis, ...this.reach(axis, index), this.mode);
    for (let n = 0, at = out.length - 1; at >= 0; n++, at--) out[at] = table[values[n] & 0xffff];
  }
}

/**
 * One value for each cell of a plane: of the slices from first to last.
 * @param {Volume} volume @param {number} axis @param {number} first @param {number} last @param {string} mode
 * @returns {Int16Array} row by row along the plane's axes, not flipped
 */
function project(volume, axis, first, last, mode) {
  const [nx, ny, nz] = volume.shape;
  const [w, h] = axis === 2 ? [nx, ny] : axis === 1 ? [nx, nz] : [ny, nz];
  const values = new Int32Array(w * h).fill(mode === 'MIP' ? -32768 : mode === 'MinIP' ? 32767 : 0);
  const take = mode === 'MIP' ? (n, hu) => { if (hu > values[n]) values[n] = hu; }
    : mode === 'MinIP' ? (n, hu) => { if (hu < values[n]) values[n] = hu; }
      : (n, hu) => { values[n] += hu; };
  const rows = (j, k, at) => {
    const row = volume.row(j, k);
    for (let i = 0; i < nx; i++) take(at + i, row ? row.data[row.at + (i >> row.shift)] : -1024);
  };
  if (axis === 2) for (let k = first; k <= last; k++) for (let j = 0; j < ny; j++) rows(j, k, j * nx);
  else if (axis === 1) for (let k = 0; k < nz; k++) for (let j = first; j <= last; j++) rows(j, k, k * nx);
  else {
    for (let k = 0; k < nz; k++) {
      for (let j = 0; j < ny; j++) {
        const row = volume.row(j, k);
        for (let i = first; i <= last; i++) take(k * ny + j, row ? row.data[row.at + (i >> row.shift)] : -1024);
      }
    }
  }
  if (mode !== 'mean') return Int16Array.from(values);
  const count = last - first + 1;
  return Int16Array.from(values, (sum) => Math.round(sum / count));
}

/**
 * The bar of the slab.
 * @param {object} viewer
 * @returns {{root: HTMLElement, refresh: () => void}}
 */
function buildSlabBar(viewer) {
  const root = make('div', 'mv-options mv-slabs');
  root.setAttribute('role', 'group');
  root.setAttribute('aria-label', 'Slab');
  const mode = make('select', 'mv-presets');
  mode.setAttribute('aria-label', 'Projection');
  for (const [value, text] of SLAB_MODES.slice(1)) {
    const option = make('option', '', text);
    option.value = value;
    mode.append(option);
  }
  const slider = make('input', 'mv-field');
  [slider.type, slider.min, slider.max, slider.step] = ['range', 2, SLAB_MAX, 1];
  slider.setAttribute('aria-label', 'Thickness in mm');
  const words = make('span', 'mv-radius');
  mode.addEventListener('change', () => viewer.slab.set(mode.value, viewer.slab.mm));
  slider.addEventListener('input', () => viewer.slab.set(viewer.slab.mode, Number(slider.value)));
  root.append(mode, slider, words);
  return {
    root,
    refresh() {
      root.hidden = !viewer.slab.mode || !viewer.volume;
      if (viewer.slab.mode) mode.value = viewer.slab.mode;
      slider.value = String(viewer.slab.mm);
      setText(words, viewer.slab.mm + ' mm');
    },
  };
}
