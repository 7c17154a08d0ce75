// Starts the viewer on the component's element, and opens a window on it for the page, tests and benchmarks.

const viewer = new Viewer(element.querySelector('.mv'));

let asked = null;

window.medvlViewer = {
  /**
   * Asks before another scan takes the place of masks that no export holds.
   * @param {*} chosen what would be opened @returns {boolean} whether it may
   */
  mayGo(chosen) {
    const lost = viewer.store.unsaved;
    const lengths = viewer.rulers.unsaved;
    if (!lost && !lengths) return true;
    // Gradio's list tells of one choice twice: the second time gets the same answer.
    if (asked && asked.chosen === chosen && performance.now() - asked.at < 1000) return asked.answer;
    const masks = lost ? [lost === 1 ? '1 mask' : `${lost} masks`] : [];
    const what = [...masks, ...(lengths ? ['lengths or regions'] : [])].join(' and ') + ' in no file';
    const answer = window.confirm(`Another scan closes this one, with ${what}. Open it all the same?`);
    asked = { chosen, answer, at: performance.now() };
    return answer;
  },
  /** @returns {Volume|null} the scan, for the 3-D view; not to be changed */
  get volume() { return viewer.volume; },
  /** @returns {object} what the viewer shows now */
  state() {
    const volume = viewer.volume;
    return {
      token: viewer.token,
      ijk: viewer.ijk.slice(),
      window: { ...viewer.window },
      tool: viewer.tool,
      zoom: Object.fromEntries(viewer.planes.map((view) => [view.plane.name, view.zoom])),
      maximised: viewer.grid.dataset.only || null,
      level: volume ? volume.level : null,
      complete: Boolean(volume && volume.complete),
      shape: volume ? volume.shape : null,
      bytes: volume ? volume.bytes : 0,
      revision: viewer.store.revision,
      active: viewer.store.active,
      masks: [...viewer.store.masks.values()].map((m) => ({
        id: m.id, name: m.name, color: m.color, visible: m.visible, opacity: m.opacity,
        slices: m.slices.size, prompts: m.prompts.length,
        voxels: m.voxels,
      })),
      pending: viewer.pending.length,
      unsaved: viewer.store.unsaved > 0 || viewer.rulers.unsaved,
      rulers: viewer.rulers.list.map((r) => ({ plane: r.plane.name, slice: r.index, mm: viewer.rulers.mm(r), kind: r.kind, name: r.name || '' })),
      crosshair: viewer.hairsShown,
      brush: { radius: viewer.brush.radius, ball: viewer.brush.ball, range: viewer.brush.range, waiting: viewer.brush.waiting.length },
      prior: { mode: viewer.prior.mode, shape: viewer.prior.volume ? viewer.prior.volume.shape : null, complete: Boolean(viewer.prior.volume && viewer.prior.volume.complete), masks: [...viewer.prior.store.masks.values()].map((m) => ({ name: m.name, voxels: m.voxels })) },
      cine: { playing: viewer.cine.playing, fps: viewer.cine.fps },
      lasso: { corners: viewer.lasso.path.length, away: viewer.lasso.away },
      slab: { mode: viewer.slab.mode, mm: viewer.slab.mm },
      busy: viewer.busy,
      frames: viewer.clock.summary(),
      firstPicture: viewer.firstPicture ?? null,
    };
  },
  /** @returns {object} the lengths that an export takes along */
  lengths() {
    return viewer.rulers.exported;
  },
  /** A file holds these lengths. @param {object} given as lengths() gave them */
  filedLengths(given) {
    if (given && viewer.volume && given.scan === viewer.volume.token) viewer.rulers.filed(given.list);
  },
  /** How often each HU is in a mask, from -2048 on. @param {string} id @returns {Uint32Array|null} null where the scan is not here in full */
  histogram(id) {
    const { volume, store } = viewer;
    const mask = store.masks.get(id);
    if (!mask || !volume || !volume.complete) return null;
    const counts = new Uint32Array(BINS);
    const [nx, ny] = volume.shape;
    const { data, depth } = volume.fine;
    for (const [k, { i0, j0, w, h, data: cells }] of mask.slices) {
      const slab = data[Math.floor(k / depth)];
      for (let j = 0; j < h; j++) {
        const row = i0 + nx * (j0 + j + ny * (k % depth));
        for (let i = 0; i < w; i++) if (cells[j * w + i]) counts[clamp(slab[row + i] - LOWEST_HU, 0, BINS - 1)]++;
      }
    }
    return counts;
  },
  /** Lengths and regions of the open scan, for the list beside the viewer. */
  measured: {
    list: () => (viewer.volume ? viewer.rulers.told : []),
    jump: (n) => viewer.rulers.jump(n),
    rename: (n, name) => viewer.rulers.rename(n, name),
    drop: (n) => viewer.rulers.drop(n),
    counts: (n) => viewer.rulers.values(viewer.rulers.list[n]).counts,
  },
  /** @returns {object} where a person looks, for a saved case */
  view() {
    return viewOf(viewer);
  },
  /** Where a voxel lies on the page's view. @param {string} plane @param {number[]} ijk @returns {{x: number, y: number}} */
  canvasPoint(plane, ijk) {
    const view = viewer.views.find((v) => v.plane.name === plane);
    const box = view.root.getBoundingClientRect();
    const [x, y] = view.toScreen(ijk);
    return { x: box.left + x, y: box.top + y };
  },
  /** @param {number[]} ijk */
  setCrosshair(ijk) {
    viewer.moveTo(ijk, true);
  },
  /** HU as the browser has it. @param {number[]} ijk @returns {number|null} */
  hu(ijk) {
    const voxel = viewer.volume && viewer.volume.at(ijk);
    return voxel && voxel.exact ? voxel.hu : null;
  },
  /** The picture of a slab, as values: for tests. @param {number} axis @param {number} index @returns {number[]} */
  slabValues(axis, index) {
    return [...project(viewer.volume, axis, ...viewer.slab.reach(axis, index), viewer.slab.mode)];
  },
  /** Forgets the frame times measured so far. */
  resetFrames() {
    viewer.clock.reset();
  },
};

// Masks and lengths live as long as the page: ask before it goes while one of them is in no file. Gradio hangs up on this event,
// and the server would close the scan of a visitor who stays: when the browser asks, Gradio is not to hear of it.
// When the network is back Gradio loads the page again, which loses nothing: then nothing is asked.
const comesBack = () => navigator.onLine && Boolean(document.querySelector('.toast-wrap')?.textContent.includes('reconnection'));
const leaving = (event) => {
  if (!viewer.root.isConnected || comesBack() || !(viewer.store.unsaved || viewer.rulers.unsaved)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
};
window.addEventListener('beforeunload', leaving, true);

attachSession(viewer);

/** @returns {boolean} whether somebody types beside the viewer, or has words in the chat that are not sent */
const typing = () => {
  const draft = document.querySelector('.cp-input');
  const focused = document.activeElement;
  return Boolean(draft && draft.value.trim()) || (focused.matches('input, textarea') && !viewer.root.contains(focused));
};

let offered = '';

/**
 * The first mask of a scan opens the tab of masks, once, and not under the hands of who types or has chosen another tab
 * since. It is pressed here and not by the server, whose word would come after a choice made meanwhile.
 * @param {object} value
 */
const offerMasks = (value) => {
  const scan = value.token + value.case;
  if (!value.first || offered === scan) return;
  offered = scan;
  if (!typing() && openTab() === viewer.tabThen) document.getElementById('tab-masks-button')?.click();
};

// While an event streams, Gradio may turn the value in place into an update that holds nothing: take a copy, or nothing.
const take = () => {
  if (!props.value || !('token' in props.value)) return;
  viewer.take({ ...props.value });
  offerMasks(props.value);
};
watch('value', take);
take();
