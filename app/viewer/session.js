// What a tab keeps, so that it finds its session again after a reload: the token, and where a person looked.

const TOKEN_KEY = 'medvl-session';
const VIEW_KEY = 'medvl-view';
const ALIVE_MS = 60000;

let release = null;

/**
 * Remembers the session of this tab, and holds it, so that a duplicate of the tab does not take it over.
 * @param {string} token
 */
function keepSession(token) {
  if (!token) return;
  sessionStorage.setItem(TOKEN_KEY, token);
  if (release) release();
  if (!navigator.locks) return;
  navigator.locks.request('medvl-' + token, { ifAvailable: true }, () => new Promise((resolve) => { release = resolve; })).catch(() => {});
}

/** Where a person looks. @param {object} viewer @returns {object} */
function viewOf(viewer) {
  return {
    ijk: viewer.ijk.slice(),
    window: { ...viewer.window },
    only: viewer.grid.dataset.only || null,
    zooms: Object.fromEntries(viewer.planes.map((view) => [view.plane.name, [view.zoom, ...view.pan]])),
  };
}

/**
 * Looks there again.
 * @param {object} viewer @param {object} view of viewOf, any of its fields @param {object[]} lengths {plane, slice, ends}
 * @param {object} [kept] strokes and messages that are still to go to the server
 */
function restoreView(viewer, view, lengths, kept = {}) {
  viewer.brush.left = kept.strokes || [];
  viewer.outbox.left = kept.messages || [];
  viewer.rulers.restore(lengths || []);
  if (view.window) {
    const preset = viewer.volume.info.windows.findIndex((w) => w.level === view.window.level && w.width === view.window.width);
    if (preset >= 0) viewer.usePreset(preset);
    else viewer.setWindow(view.window.level, view.window.width);
  }
  for (const plane of viewer.planes) {
    const kept = view.zooms && view.zooms[plane.plane.name];
    if (!kept) continue;
    plane.zoom = kept[0];
    plane.pan = kept.slice(1);
  }
  if ((viewer.grid.dataset.only || null) !== (view.only || null)) {
    viewer.maximise(viewer.views.find((one) => one.plane.name === (view.only || viewer.grid.dataset.only)));
  }
  if (view.ijk) viewer.moveTo(view.ijk);
  viewer.touch(true);
}

/** What this tab kept of a session's view, or null. @param {string} token @returns {{view: object, lengths: object[], messages: object[]}|null} */
function keptView(token) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(VIEW_KEY) || 'null');
    return kept && kept.token === token ? kept : null;
  } catch {
    return null;
  }
}

/** Keeps the view when the page goes, and tells the server now and then that the page is there. @param {object} viewer */
function attachSession(viewer) {
  const keep = () => {
    if (!viewer.current) return;
    const kept = { token: viewer.token, view: viewOf(viewer), lengths: viewer.rulers.exported.list, messages: viewer.outbox.kept };
    sessionStorage.setItem(VIEW_KEY, JSON.stringify(kept));
    try {
      sessionStorage.setItem(VIEW_KEY, JSON.stringify({ ...kept, strokes: viewer.brush.kept }));
    } catch {} // more strokes than a browser keeps: the view alone
  };
  const tell = () => {
    if (!viewer.root.isConnected || !viewer.current) return;
    fetch(viewer.volume.url + '/alive', { cache: 'no-store' }).then((answer) => {
      if (answer.status === 410 && viewer.current) viewer.fail(new Gone('This session has ended. Reload the page.'));
    }).catch(() => {}); // no network: the next time
  };
  window.addEventListener('pagehide', keep);
  document.addEventListener('visibilitychange', () => (document.hidden ? keep() : tell()));
  window.addEventListener('online', tell);
  setInterval(tell, ALIVE_MS);
}
