// The viewer: ties volume, masks, planes and tools together, follows the component's value, and speaks to Python by
// trigger('prompt', ...) and trigger('action', ...).

const FIRST_MS = 4000; // within which a page that was just loaded is told what scan it has

/** The whole viewer. */
class Viewer {
  /** @param {HTMLElement} root the .mv element */
  constructor(root) {
    this.root = root;
    this.icon = icon;
    this.volume = null;
    this.loading = null;
    this.token = '';
    this.store = new MaskStore();
    this.ijk = [0, 0, 0];
    this.window = { level: 40, width: 400 };
    this.preset = 0;
    this.table = new Uint32Array(65536);
    this.tool = 'navigate';
    this.masksShown = true;
    this.hairsShown = true;
    this.rulers = new Rulers(this);
    this.keyedBox = new KeyedBox(this);
    this.outbox = new Outbox(this);
    this.brush = new Brush(this);
    this.lasso = new Lasso(this);
    this.slab = new Slab(this);
    this.prior = new Prior(this);
    this.cine = new Cine(this);
    this.busy = false;
    this.stopping = false;
    this.status = '';
    this.pending = [];
    this.draft = null;
    this.clock = new FrameClock();
    this.scheduled = false;
    this.fetching = false;
    this.wanted = -1;
    this.pointer = null;
    this.tabThen = ''; // the tab that was open when something was last asked of the server here
    this._build();
    fillWindowTable(this.window.level, this.window.width, this.table);
  }

  /** Makes the elements. */
  _build() {
    this.toolbar = buildToolbar(this);
    this.options = buildBrushBar(this);
    this.slabBar = buildSlabBar(this);
    this.priorBar = buildPriorBar(this);
    this.cineBar = buildCineBar(this);
    this.grid = make('div', 'mv-grid');
    this.planes = PLANES.map((plane) => new PlaneView(plane, this));
    this.prior.beside = new PriorView(this);
    this.views = [...this.planes, this.prior.beside];
    this.activeView = this.views[0];
    for (const view of this.views) {
      this.grid.append(view.root);
      attachGestures(view, this);
      view.expand.addEventListener('click', () => this.maximise(view));
    }
    this.cover = new Cover(() => this.retry());
    this.grid.append(this.options.root, this.slabBar.root, this.priorBar.root, this.cineBar.root, this.cover.root);
    this.foot = new Foot(this);
    this.help = new Help(this);
    this.root.replaceChildren(this.toolbar.root, this.cover.progress, this.grid, this.foot.root, this.help.root);
    attachKeys(this);
    new ResizeObserver(() => this.resize()).observe(this.grid);
    this.activate(this.views[0]);
    this.refresh();
    setTimeout(() => this.refresh(), FIRST_MS);
  }

  // ---------------------------------------------------------------- what to show

  /** @returns {boolean} whether the picture is that of the CT the session has open, not one still to be replaced */
  get current() {
    return Boolean(this.volume) && this.volume.token === this.token;
  }

  /** Takes the component's value. @param {object} value see viewer_value in component.py */
  take(value) {
    const next = value || {};
    this.busy = Boolean(next.busy);
    this.stopping = this.stopping && this.busy;
    this.status = typeof next.status === 'string' ? next.status : '';
    if ((next.token || '') !== this.token || (next.case || 0) !== this.caseId) this.open(next);
    else if (!this.current) this.opening = next;
    else if (next.revision > this.store.revision) this.sync(next.revision);
    if (!this.busy && next.revision <= this.store.revision) this.pending = [];
    if (this.current) this.prior.take(next.prior);
    this.refresh();
    this.touch(false);
  }

  /** Opens another CT; the old picture stays until there is a new one. @param {object} value */
  async open(value) {
    this.token = value.token || '';
    keepSession(this.token);
    this.caseId = value.case || 0;
    this.opening = value;
    if (this.loading) this.loading.close();
    this.loading = null;
    if (!this.token) {
      if (this.volume) this.volume.close();
      this.volume = null;
      this.store.clear();
      return this.refresh();
    }
    if (!this.volume) this.say('Loading the scan');
    const abort = new AbortController();
    this.loading = { close: () => abort.abort() };
    this.showProgress(0.02);
    try {
      let response = null;
      for (const url of routeCandidates(value.base)) {
        try {
          const answer = await get(url + '/info', abort.signal);
          if (!(answer.headers.get('content-type') || '').includes('json')) continue; // another page at that address
          response = answer;
          this.nextUrl = url;
          break;
        } catch (error) {
          if (!(error instanceof Gone)) throw error;
        }
      }
      if (!response) throw new Gone('This session has ended. Reload the page.');
      const volume = new Volume(await response.json(), this.nextUrl);
      if (abort.signal.aborted) return volume.close();
      volume.token = value.token;
      this.loading = volume;
      volume.onslab = (level, k0, k1) => this._arrived(volume, level, k0, k1);
      volume.onerror = (error) => this.fail(error);
      volume.pump();
    } catch (error) {
      if (!abort.signal.aborted) this.fail(error);
    }
  }

  /** A part of a volume has come. */
  _arrived(volume, level, k0, k1) {
    if (volume === this.loading && volume.level !== null) this._adopt(volume);
    if (volume !== this.volume) return;
    this.showProgress(volume.complete ? 1 : volume.progress);
    const k = this.ijk[2];
    this.views.forEach((view) => {
      if (view.plane.axis !== 2 || this.slab.mode || (k >= k0 << level && k < k1 << level)) view.stale = view.dirtyPicture = true;
    });
    if (volume.complete) {
      this.showReadout();
      if (this.rulers.list.length) this.rulers._changed();
    }
    this.wake();
  }

  /** The first picture of a new volume can be drawn: now it replaces the old one. */
  _adopt(volume) {
    if (this.volume) this.volume.close();
    this.volume = volume;
    this.loading = null;
    this.store.clear();
    this.pending = [];
    this.draft = null;
    this.outbox.clear();
    this.rulers.clear();
    this.prior.close();
    window.dispatchEvent(new CustomEvent('medvl-measured'));
    this.brush.clear();
    this.lasso.clear();
    this.pointer = null;
    this.wanted = -1;
    this.ijk = volume.shape.map((n) => Math.floor(n / 2));
    this.toolbar.setWindows(volume.info.windows);
    this.usePreset(volume.info.window || 0);
    this.say('');
    this.resize();
    this.views.forEach((view) => view.reset());
    this.kept = keptView(volume.token);
    if (this.kept) restoreView(this, this.kept.view, this.kept.lengths, this.kept);
    this.refresh();
    this.showReadout();
    this.touch(true);
    this.sync(this.opening.revision);
    this.prior.take(this.opening.prior);
  }

  /** Loading gave up: say so, keep what is there. @param {Error} error */
  fail(error) {
    this.showProgress(1);
    const text = error instanceof TypeError ? 'The connection to the server was lost.' : error.message;
    this.say(this.volume && this.loading === null ? text : 'The scan could not be loaded. ' + text, !(error instanceof Gone));
  }

  /** The button of the error message. */
  retry() {
    this.say(this.volume ? '' : 'Loading the scan');
    if (this.volume && this.volume.failed) this.volume.retry();
    else if (this.current) this.sync(this.wanted);
    else this.open(this.opening);
  }

  /** Fetches what changed; one request at a time, and one more if more changed meanwhile. @param {number} revision */
  async sync(revision) {
    this.wanted = Math.max(this.wanted, revision);
    if (this.fetching || !this.volume) return;
    this.fetching = true;
    const volume = this.volume;
    try {
      do {
        const response = await get(volume.url + '/delta?since=' + this.store.revision, volume.abort.signal);
        const buffer = await response.arrayBuffer();
        if (volume !== this.volume) break;
        const { focus, window, view, stroke, taken } = this.store.apply(buffer);
        this.brush.settle(stroke);
        if (view && !this.kept) {
          restoreView(this, view.view, view.lengths);
          this.rulers.filed(this.rulers.exported.list); // they came from one
        }
        this.kept = null;
        if (this.current && !volume.failed) this.say('');
        this.pending = this.pending.filter((prompt) => prompt.after >= this.store.revision);
        this.outbox.settle(taken);
        if (focus) this.moveTo(focus.map((n, axis) => n ?? this.ijk[axis]), true);
        if (typeof window === 'number') this.usePreset(window);
        else if (window) this.setWindow(window.level, window.width);
        this.touch(true);
      } while (this.store.revision < this.wanted);
    } catch (error) {
      if (volume === this.volume && !volume.abort.signal.aborted) this.fail(error);
    }
    this.fetching = false;
    if (volume !== this.volume && this.volume) this.sync(this.wanted);
  }

  // ---------------------------------------------------------------- what a person does

  /** Sends a prompt and shows it at once. @param {object} prompt */
  prompt(prompt) {
    if (!this.current) return; // a prompt on the old picture would land in the new scan
    const { ijk, lo, hi, points } = prompt;
    this.moveTo(ijk || (points && points[points.length >> 1]) || lo.map((n, axis) => (n + hi[axis] - 1) >> 1));
    this.outbox.send('prompt', prompt);
  }

  /** @param {string} name undo, redo, clear, new or stop */
  action(name) {
    if (!this.current) return;
    if (name === 'clear' || name === 'undo') this.pending = [];
    if (name === 'stop') {
      this.stopping = true;
      this.outbox.stop();
      trigger('action', { name });
    } else this.outbox.send('action', { name });
    this.toolbar.refresh();
    this.touch(false);
  }

  /** Moves the crosshair. @param {number[]|null} ijk @param {boolean} [reveal] pan if it would be out of view */
  moveTo(ijk, reveal) {
    if (!ijk || !this.volume) return;
    const to = ijk.map((n, axis) => clamp(Math.round(n), 0, this.volume.shape[axis] - 1));
    const changed = to.map((n, axis) => n !== this.ijk[axis]);
    if (!changed.some(Boolean)) return;
    this.ijk = to;
    for (const view of this.views) {
      if (changed[view.plane.axis]) view.dirtyPicture = true;
      view.dirtyMarks = true;
      if (reveal || view !== this.activeView) view.reveal();
    }
    if (changed[2]) this.volume.lookAt(to[2]);
    if (changed[2] && this.prior.volume) this.prior.volume.lookAt(to[2]);
    this.rulers.walk();
    this.keyedBox.walk();
    this.showReadout();
    this.wake();
  }

  /** @param {PlaneView} view @param {number} steps slices toward head, front or right */
  scroll(view, steps) {
    if (!this.volume) return;
    const to = this.ijk.slice();
    to[view.plane.axis] += steps;
    this.moveTo(to);
  }

  /** Moves the crosshair in a plane. @param {PlaneView} view @param {number} h voxels along its horizontal axis @param {number} v along the other */
  step(view, h, v) {
    const to = this.ijk.slice();
    to[view.plane.h] += h;
    to[view.plane.v] += v;
    this.moveTo(to, true);
  }

  /** @param {number} level @param {number} width both in HU */
  setWindow(level, width) {
    this.preset = null;
    this._window(clamp(level, -2000, 6000), clamp(width, 1, 10000));
  }

  /** @param {number} n number of a window of the info route */
  usePreset(n) {
    const preset = this.volume.info.windows[n];
    this.preset = n;
    this._window(preset.level, preset.width);
  }

  _window(level, width) {
    this.window = { level, width };
    fillWindowTable(level, width, this.table);
    for (const view of this.views) view.stale = view.dirtyPicture = true;
    this.foot.setLevels(level, width);
    this.toolbar.refresh();
    this.wake();
  }

  /** @param {string} tool one of TOOLS */
  setTool(tool) {
    if (this.prior.swapped && tool !== 'navigate' && tool !== 'window') this.prior.show('now');
    this.tool = tool;
    [this.rulers, this.lasso, this.keyedBox].forEach((drawn) => drawn.cancel());
    this.root.dataset.tool = tool;
    this.toolbar.refresh();
    this.options.refresh();
    this.showRing();
  }

  /** @param {object|null} draft the box being drawn */
  setDraft(draft) {
    if (this.draft === draft) return;
    this.draft = draft;
    this.touch(false);
  }

  /** @param {boolean} shown */
  showMasks(shown) {
    this.masksShown = shown;
    this.toolbar.refresh();
    this.touch(true);
  }

  /** @param {boolean} shown */
  showHairs(shown) {
    this.hairsShown = shown;
    this.root.classList.toggle('mv-bare', !shown);
    this.toolbar.refresh();
  }

  /** All planes back to the whole slice. */
  fit() {
    this.views.forEach((view) => view.fit());
    this.wake();
  }

  /** As the scan was opened, at the slice where the crosshair is. */
  resetView() {
    if (this.grid.dataset.only) this.maximise(this.activeView);
    this.fit();
    this.usePreset(this.volume.info.window || 0);
  }

  /** Zooms the active plane about its middle. @param {number} factor */
  zoom(factor) {
    this.activeView.zoomAt(factor, this.activeView.size[0] / 2, this.activeView.size[1] / 2);
    this.wake();
  }

  /** One plane large, or all three again. @param {PlaneView} view */
  maximise(view) {
    if (this.prior.mode === 'beside') return this.prior.show('now');
    const only = this.grid.dataset.only ? '' : view.plane.name;
    this.grid.dataset.only = only;
    for (const other of this.views) other.labelExpand(Boolean(only));
    this.resize();
  }

  /** The plane that keys scroll. @param {PlaneView} view */
  activate(view) {
    this.activeView = view === this.prior.beside ? view.twin : view;
    for (const other of this.views) other.root.classList.toggle('mv-active', other === this.activeView);
    if (this.prior.mode === 'beside' && this.activeView.plane !== this.prior.beside.plane) this.prior.show('beside');
  }

  /** Where the mouse is. @param {PlaneView|null} view @param {number} [x] @param {number} [y] */
  hover(view, x, y) {
    this.pointer = view && { view, x, y };
    if (this.lasso.path.length) this.touch(false); // the line to the pointer
    this.showReadout();
    this.showRing();
  }

  /** The circle of the brush round the pointer. */
  showRing() {
    for (const view of this.views) {
      const here = this.brush.on && this.volume && this.pointer && this.pointer.view === view;
      view.ring.hidden = !here;
      if (!here) continue;
      const size = 2 * this.brush.radius * view.view().mm;
      view.ring.style.width = view.ring.style.height = size + 'px';
      view.ring.style.transform = 'translate(' + (this.pointer.x - size / 2) + 'px, ' + (this.pointer.y - size / 2) + 'px)';
    }
  }

  /** A few words in the line under the planes, until something else is to be said there. @param {string} text */
  hint(text) {
    this.status = text;
    this.refresh();
  }

  /** Takes all masks from the server again: what was drawn here only goes. */
  refetch() {
    this.store.clear();
    this.sync(this.wanted);
  }

  // ---------------------------------------------------------------- painting

  /** Everything is to be repainted. @param {boolean} pictures masks too, not just crosshair and prompts */
  touch(pictures) {
    for (const view of this.views) {
      view.dirtyMarks = true;
      if (pictures) view.dirtyPicture = true;
    }
    this.wake();
  }

  /** Paints in the next frame. */
  wake() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => this._frame());
  }

  _frame() {
    this.scheduled = false;
    if (!this.volume) return;
    const start = performance.now();
    let painted = false;
    for (const view of this.views) painted = view.draw() || painted;
    if (this.foot.stale) this.foot.write();
    if (painted) this.clock.frame(start, performance.now() - start);
    if (painted && this.firstPicture === undefined) this.firstPicture = performance.now();
  }

  /** Fits the planes to the room they have. */
  resize() {
    const width = this.root.clientWidth;
    this.root.dataset.size = width < 600 ? 'narrow' : width < 850 ? 'medium' : width < 1160 ? 'wide' : 'full';
    this.views.forEach((view) => view.resize());
    // A resized canvas is blank; paint now rather than a frame later, so that nothing flickers.
    if (this.volume) this.views.forEach((view) => view.draw());
  }

  /** Writes HU and place in the next frame. */
  showReadout() {
    this.foot.stale = true;
    this.wake();
  }

  /** Words over the planes, or none. @param {string} text @param {boolean} [retry] offer to try again */
  say(text, retry) {
    this.cover.say(text, Boolean(retry), Boolean(this.volume));
  }

  /** @param {number} part of the scan that is here, 0..1 */
  showProgress(part) {
    this.cover.show(part);
    this.root.setAttribute('aria-busy', String(part < 1));
  }

  /** Buttons and status line. */
  refresh() {
    this.toolbar.refresh();
    this.options.refresh();
    this.slabBar.refresh();
    this.priorBar.refresh();
    this.cineBar.refresh();
    const tilt = this.volume ? this.volume.info.oblique_degrees : 0;
    if (!this.token) this.say(this.status || (performance.now() < FIRST_MS ? 'Loading' : 'Open a CT to begin.'));
    const rest = this.rulers.text || (tilt >= 3 ? 'Oblique scan, ' + tilt + '\u00b0' : '');
    setText(this.foot.status, this.status || (this.busy ? 'Segmenting' : rest));
    this.root.classList.toggle('mv-busy', this.busy);
  }
}
