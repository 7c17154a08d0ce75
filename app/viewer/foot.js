// The line under the planes: grey value and place under the pointer, what is under way, the window.

/** The line's words; the readout is written once a frame at most. */
class Foot {
  /** @param {object} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.stale = false;
    this.root = make('div', 'mv-foot');
    this.readout = make('span', 'mv-readout');
    this.status = make('span', 'mv-status');
    this.status.setAttribute('role', 'status');
    this.levels = make('span', 'mv-levels');
    this.root.append(this.readout, this.status, this.levels);
  }

  /** Grey value and place under the pointer, or else of the crosshair; voxels are counted from 1, as the slices are. */
  write() {
    this.stale = false;
    const { pointer, ijk, volume, root } = this.viewer;
    const here = (pointer && pointer.view.voxelAt(pointer.x, pointer.y)) || ijk;
    const voxel = volume.at(here);
    const hu = voxel ? (voxel.exact ? '' : '\u2248 ') + voxel.hu + ' HU' : '';
    setText(this.readout, hu + '   ' + rasText(toRas(volume.info.affine, here)) + ' mm' +
      (root.dataset.size === 'narrow' ? '' : '   voxel ' + here.map((n) => n + 1).join(', ')));
  }
}
