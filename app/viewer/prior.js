// An earlier scan on the grid of the open one: a second volume with masks of its own, so that the same voxel is the same
// place of the body. It takes the place of the open scan at a key, or stands beside it, and scrolls with it.

const PRIOR_MODES = [['now', 'Now'], ['prior', 'Prior'], ['beside', 'Side by side']];

/** The earlier scan, and how it is shown. */
class Prior {
  /** @param {object} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.mode = 'now';
    this.volume = null;
    this.loading = null;
    this.store = new MaskStore();
    this.case = 0;
    this.title = '';
  }

  /** @returns {boolean} whether it stands in the place of the open scan */
  get swapped() {
    return this.mode === 'prior' && Boolean(this.volume);
  }

  /** Takes what the component's value says of it. @param {object|null} value see viewer_value in component.py */
  take(value) {
    if (!value) return this.case ? this.close() : undefined;
    this.title = value.title;
    if (value.case !== this.case) this._open(value);
    else if (this.volume && value.revision > this.store.revision) this._sync(value.revision);
  }

  /** Lets go of it. */
  close() {
    for (const volume of [this.volume, this.loading]) if (volume) volume.close();
    this.volume = this.loading = null;
    this.case = 0;
    this.store.clear();
    this.show('now');
  }

  /** @param {object} value */
  async _open(value) {
    this.close();
    this.case = value.case;
    const abort = new AbortController();
    this.loading = { close: () => abort.abort() };
    try {
      const url = this.viewer.volume.url + '/prior';
      const info = await (await get(url + '/info', abort.signal)).json();
      if (abort.signal.aborted) return;
      const volume = new Volume(info, url);
      this.loading = volume;
      volume.onerror = (error) => this._fail(error);
      volume.onslab = () => {
        if (volume === this.loading && volume.level !== null) {
          this.volume = volume;
          this.loading = null;
          this.beside.reset();
          this._sync(value.revision);
          this.show('beside');
        }
        this._stale();
      };
      volume.lookAt(this.viewer.ijk[2]);
      volume.pump();
    } catch (error) {
      if (!abort.signal.aborted) this._fail(error);
    }
  }

  /** @param {Error} error */
  _fail(error) {
    this.viewer.hint('The prior could not be loaded. ' + error.message);
  }

  /** Fetches its masks. @param {number} revision */
  async _sync(revision) {
    const volume = this.volume;
    try {
      const response = await get(volume.url + '/delta?since=' + this.store.revision, volume.abort.signal);
      const buffer = await response.arrayBuffer();
      if (volume !== this.volume) return;
      this.store.apply(buffer);
      this._stale();
      if (this.store.revision < revision) this._sync(revision);
    } catch (error) {
      if (volume === this.volume && !volume.abort.signal.aborted) this._fail(error);
    }
  }

  /** Everything that shows it is to be painted again. */
  _stale() {
    for (const view of this.viewer.views) view.stale = view.dirtyPicture = true;
    this.viewer.wake();
  }

  /** @param {string} mode one of PRIOR_MODES */
  show(mode) {
    const { viewer } = this;
    if (mode === 'beside' && viewer.grid.dataset.only) viewer.maximise(viewer.activeView); // all planes again
    this.mode = this.volume ? mode : 'now';
    viewer.root.classList.toggle('mv-swapped', this.swapped);
    viewer.grid.dataset.beside = this.mode === 'beside' ? viewer.activeView.plane.name : '';
    if (this.mode === 'beside') this.beside.turnTo(viewer.activeView.plane);
    if (this.swapped && viewer.tool !== 'navigate' && viewer.tool !== 'window') viewer.setTool('navigate');
    this._stale();
    viewer.touch(true);
    viewer.resize();
    viewer.showReadout();
    viewer.refresh();
  }

  /** The key: the open scan and the earlier one change places. */
  swap() {
    if (this.volume) this.show(this.swapped ? 'now' : 'prior');
  }
}

/** The plane of the earlier scan beside that of the open one: it shows the same place, zoomed and moved alike. */
class PriorView extends PlaneView {
  /** @param {object} viewer */
  constructor(viewer) {
    super(PLANES[0], viewer);
    this.root.classList.add('mv-of-prior');
    delete this.root.dataset.plane;
    this.root.querySelector('.mv-head').append(make('span', 'mv-which', 'Prior'));
    this.expand.remove();
  }

  /** @returns {{volume: Volume, store: MaskStore}} what it shows */
  get shown() {
    return this.viewer.prior;
  }

  /** @returns {PlaneView} the plane of the open scan that it goes along with */
  get twin() {
    return this.viewer.views.find((view) => view !== this && view.plane === this.plane);
  }

  /** Shows another plane. @param {object} plane one of PLANES */
  turnTo(plane) {
    this.plane = plane;
    this.root.setAttribute('aria-label', plane.title + ' plane of the prior');
    this.root.querySelectorAll('.mv-letter').forEach((letter, n) => setText(letter, plane.letters[n]));
    setText(this.root.querySelector('.mv-title'), plane.title);
    if (this.viewer.prior.volume) this.reset();
  }

  /** Takes on another volume or plane. */
  reset() {
    if (this.viewer.volume) super.reset();
  }

  /** Paints, as its twin is zoomed and moved. @returns {boolean} whether anything was painted */
  draw() {
    if (this.viewer.prior.mode !== 'beside' || !this.shown.volume) return false;
    const { zoom, pan } = this.twin;
    if (zoom !== this.zoom || pan[0] !== this.pan[0] || pan[1] !== this.pan[1]) {
      this.zoom = zoom;
      this.pan = pan.slice();
      this.dirtyPicture = true;
    }
    return super.draw();
  }

  /** Zooms both. @param {number} factor @param {number} x @param {number} y */
  zoomAt(factor, x, y) {
    this.twin.zoomAt(factor, x, y);
  }

  /** Moves both. @param {number} dx @param {number} dy */
  panBy(dx, dy) {
    this.twin.panBy(dx, dy);
  }
}

/**
 * The bar that chooses what is shown, while an earlier scan is open.
 * @param {object} viewer
 * @returns {{root: HTMLElement, refresh: () => void}}
 */
function buildPriorBar(viewer) {
  const root = make('div', 'mv-options mv-priors');
  root.setAttribute('role', 'group');
  root.setAttribute('aria-label', 'Scan and prior');
  const buttons = PRIOR_MODES.map(([mode, label]) => {
    const button = make('button', 'mv-button', label);
    button.type = 'button';
    button.title = mode === 'beside' ? 'The earlier scan beside this one' : 'Show this scan or the earlier one (C)';
    button.addEventListener('click', () => viewer.prior.show(mode));
    root.append(button);
    return [mode, button];
  });
  return {
    root,
    refresh() {
      root.hidden = !viewer.prior.volume || !viewer.volume;
      root.title = 'Prior: ' + viewer.prior.title;
      for (const [mode, button] of buttons) button.setAttribute('aria-pressed', String(viewer.prior.mode === mode));
    },
  };
}
