// The line under the planes: grey value and place under the pointer, what is under way, the window.

/** @param {number[][]} toFile 3x4, whole numbers @param {number[]} ijk @returns {number[]} index in the file's array */
const fileIndex = (toFile, ijk) => toFile.map((row) => row[0] * ijk[0] + row[1] * ijk[1] + row[2] * ijk[2] + row[3]);

/** The line's words; the readout is written once a frame at most. */
class Foot {
  /** @param {object} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.stale = false;
    this.root = make('div', 'mv-foot');
    this.readout = make('span', 'mv-readout');
    this.readout.title = "Value, place, and the voxel's index in the file: its own axis order, counted from 0, " +
      'as --point and --box of the command line take it';
    this.status = make('span', 'mv-status');
    this.status.setAttribute('role', 'status');
    this.levels = make('span', 'mv-levels');
    [this.level, this.width] = [['L', 'Window level in HU'], ['W', 'Window width in HU']].map(([letter, label]) => {
      const field = make('input', '');
      field.type = 'number';
      field.step = '5';
      field.title = label;
      field.setAttribute('aria-label', label);
      field.addEventListener('change', () => this._typed());
      field.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' && event.key !== 'Escape') return;
        if (event.key === 'Enter') this._typed();
        event.preventDefault();
        viewer.root.focus({ preventScroll: true });
      });
      this.levels.append(letter, field);
      return field;
    });
    this.root.append(this.readout, this.status, this.levels);
  }

  /** The window as it is now. @param {number} level @param {number} width both in HU */
  setLevels(level, width) {
    this.level.value = String(level);
    this.width.value = String(width);
  }

  /** Takes what was typed; what is no number gives way to what there is. */
  _typed() {
    const { viewer } = this;
    const [level, width] = [this.level, this.width].map((field) => Math.round(field.valueAsNumber));
    if (!viewer.volume || !Number.isFinite(level) || !(width >= 1)) this.setLevels(viewer.window.level, viewer.window.width);
    else if (level !== viewer.window.level || width !== viewer.window.width) viewer.setWindow(level, width);
  }

  /** Grey value and place under the pointer, or else of the crosshair; the index is the file's, as commands take it. */
  write() {
    this.stale = false;
    const { pointer, ijk, volume, root } = this.viewer;
    const here = (pointer && pointer.view.voxelAt(pointer.x, pointer.y)) || ijk;
    const shown = (pointer ? pointer.view : this.viewer.activeView).shown.volume || volume;
    const voxel = shown.at(here);
    const outside = voxel && voxel.hu === -32768; // where the prior shows nothing, see registration.py
    const hu = outside ? 'not in the prior' : voxel ? (voxel.exact ? '' : '\u2248 ') + voxel.hu + volume.info.unit : '';
    setText(this.readout, hu + '   ' + rasText(toRas(volume.info.affine, here)) + ' mm' +
      (root.dataset.size === 'narrow' ? '' : '   file index ' + fileIndex(volume.info.to_file, here).join(' ')));
  }
}
