// What Enter does: it sets with the tool at hand what a press of the mouse would set, where the crosshair is.

const KEYED_HINT = 'Shift+arrows to the other end, then Enter.';

/** A box between two places of the crosshair. */
class KeyedBox {
  /** @param {object} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.corner = null; // {view, ijk}
  }

  /** The first corner, or the second, which sends the box. @param {PlaneView} view */
  mark(view) {
    const draft = this.corner && this._between();
    if (!this.corner || this.corner.view !== view || this.corner.ijk[view.plane.axis] !== this.viewer.ijk[view.plane.axis]) {
      this.corner = { view, ijk: this.viewer.ijk.slice() };
      this.viewer.hint(KEYED_HINT);
    } else if (draft) {
      this.cancel();
      this.viewer.prompt({ kind: 'box', lo: draft.lo, hi: draft.hi, axis: view.plane.axis });
    }
  }

  /** The crosshair has moved. */
  walk() {
    if (this.corner) this.viewer.setDraft(this._between());
  }

  /** Gives the box up. @returns {boolean} whether there was one */
  cancel() {
    const had = Boolean(this.corner);
    this.corner = null;
    if (had) {
      this.viewer.setDraft(null);
      this.viewer.hint('');
    }
    return had;
  }

  _between() {
    const { view, ijk } = this.corner;
    return ijk[view.plane.axis] === this.viewer.ijk[view.plane.axis] ? boxBetween(view, this.viewer, ijk, this.viewer.ijk) : null;
  }
}

/** A point, a corner or an end where the crosshair is. @param {object} viewer @returns {boolean} whether the tool sets such */
function setAtCrosshair(viewer) {
  const { tool, activeView } = viewer;
  if (!viewer.current) return false;
  if (tool === 'grow') return growFrom(viewer, viewer.ijk, false);
  if (tool === 'ruler' || tool === 'region') viewer.rulers.mark(activeView);
  else if (tool === 'box') viewer.keyedBox.mark(activeView);
  else if (tool !== 'positive' && tool !== 'negative') return false;
  else viewer.prompt({ kind: 'point', ijk: viewer.ijk.slice(), positive: tool === 'positive', axis: activeView.plane.axis });
  return true;
}

/**
 * Grows a region of like HU from a voxel, into the active mask or out of it.
 * @param {object} viewer @param {number[]|null} at @param {boolean} alt the other way round
 * @returns {boolean} whether there is anything to grow from
 */
function growFrom(viewer, at, alt) {
  if (!at || !viewer.current) return false;
  const { brush, lasso, store } = viewer;
  const add = lasso.away === alt;
  if (!add && !store.active) viewer.hint('Select the mask to take from in the list of masks.');
  else {
    viewer.moveTo(at);
    viewer.hint('Growing');
    viewer.outbox.send('grow', { id: store.active, add, at: at.slice(), hu: brush.range, most: brush.most });
  }
  return true;
}
