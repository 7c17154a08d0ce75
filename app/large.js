() => {
  // The 3-D view over the whole page, and back: by its button, Escape, or another tab.
  const page = document.getElementById('page');
  const size = (large) => {
    page.classList.toggle('is-large', large);
    document.getElementById('surface-large').textContent = large ? 'Back' : 'Large';
    const plot = document.querySelector('#surface .js-plotly-plot');
    const room = document.getElementById('surface');
    if (!plot) return;
    const near = large ? 0.62 : 1 / 0.62, eye = plot._fullLayout.scene?.camera.eye; // column and page
    const look = eye ? { 'scene.camera.eye': { x: eye.x * near, y: eye.y * near, z: eye.z * near } } : {};
    Plotly.relayout(plot, { width: room.clientWidth, height: large ? room.clientHeight : PLAIN, ...look });
  };
  const back = (event) => {
    if (event.type === 'keydown' ? event.key !== 'Escape' : !event.target.closest('[role=tab]')) return;
    size(false);
    for (const kind of ['keydown', 'click']) document.removeEventListener(kind, page.back);
    page.back = null;
  };
  if (page.back) { page.back({ type: 'keydown', key: 'Escape' }); return; }
  page.back = back;
  for (const kind of ['keydown', 'click']) document.addEventListener(kind, back);
  size(true);
}
