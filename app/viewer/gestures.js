// Mouse, wheel and touch on a plane.

const CLICK_SLOP = 4; // CSS pixels that a click may wander
const TAP_SLOP = 10; // the same for a finger
const DOUBLE_MS = 350;
const TOUCH_STEP = 9; // CSS pixels of a finger's way for a slice
const WHEEL_STEP = 40; // wheel pixels for a slice, on touch pads; one notch of a mouse wheel is one slice

/**
 * Connects a plane to the viewer.
 * @param {PlaneView} view @param {object} viewer
 */
function attachGestures(view, viewer) {
  const root = view.root;
  const pointers = new Map();
  let drag = null;
  let pinch = null;
  let lastTap = { time: 0, x: 0, y: 0 };
  let wheelRest = 0;

  const local = (event, box = root.getBoundingClientRect()) => [event.clientX - box.left, event.clientY - box.top];

  /** What a drag that begins with this button does. */
  const modeOf = (event) => {
    if (event.pointerType === 'touch') {
      if (view.shown !== viewer && viewer.tool !== 'window') return 'scroll';
      if (['box', 'window', 'ruler', 'region', 'brush', 'erase', 'lasso'].includes(viewer.tool)) return viewer.tool;
      return 'scroll';
    }
    if (event.button === 1 || (event.button === 0 && event.shiftKey)) return 'pan';
    if (event.button === 2) return 'window';
    if (view.shown !== viewer && viewer.tool !== 'window') return 'crosshair'; // of the prior nothing is drawn on
    return { navigate: 'crosshair', positive: 'click', negative: 'click' }[viewer.tool] || viewer.tool;
  };

  const middle = () => {
    const [a, b] = [...pointers.values()];
    return { x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, span: Math.hypot(a[0] - b[0], a[1] - b[1]) || 1 };
  };

  root.addEventListener('pointerdown', (event) => {
    if (!viewer.volume || event.target.closest('button')) return;
    event.preventDefault();
    viewer.activate(view);
    viewer.root.focus({ preventScroll: true });
    root.setPointerCapture(event.pointerId);
    const [x, y] = local(event);
    pointers.set(event.pointerId, [x, y]);
    if (pointers.size === 2) {
      viewer.setDraft(null);
      viewer.rulers.cancel();
      viewer.brush.cancel();
      viewer.lasso.cancel();
      drag = null;
      pinch = middle();
      return;
    }
    if (pointers.size > 2) return;
    const mode = modeOf(event);
    drag = { mode, x, y, startX: x, startY: y, moved: false, touch: event.pointerType === 'touch', rest: 0, window: { ...viewer.window } };
    drag.start = view.toVoxel(x, y);
    if (mode === 'crosshair') viewer.moveTo(view.voxelAt(x, y));
    if (mode === 'ruler' || mode === 'region') viewer.rulers.press(view, x, y, drag.touch);
    if (mode === 'brush' || mode === 'erase') viewer.brush.press(view, x, y, mode === 'brush');
    if (mode === 'lasso' || mode === 'click') viewer.lasso.press(view, x, y, viewer.tool, event.altKey);
  });

  root.addEventListener('pointermove', (event) => {
    if (!viewer.volume) return;
    const box = root.getBoundingClientRect(); // once, before anything is moved: later it would lay the page out again
    const [x, y] = local(event, box);
    if (event.pointerType !== 'touch') viewer.hover(view, x, y);
    viewer.rulers.follow(view, x, y);
    if (!pointers.has(event.pointerId)) return;
    pointers.set(event.pointerId, [x, y]);
    if (pinch && pointers.size >= 2) {
      const now = middle();
      view.zoomAt(now.span / pinch.span, now.x, now.y);
      view.panBy(now.x - pinch.x, now.y - pinch.y);
      pinch = now;
      return viewer.wake();
    }
    if (!drag) return;
    drag.moved = drag.moved || Math.hypot(x - drag.startX, y - drag.startY) > (drag.touch ? TAP_SLOP : CLICK_SLOP);
    const [dx, dy] = [x - drag.x, y - drag.y];
    [drag.x, drag.y] = [x, y];
    if (drag.mode === 'crosshair') viewer.moveTo(view.voxelAt(x, y));
    else if (drag.mode === 'pan') view.panBy(dx, dy);
    else if (drag.mode === 'window' && drag.moved) dragWindow(viewer, drag, x, y);
    else if (drag.mode === 'box' && drag.moved) viewer.setDraft(boxBetween(view, viewer, drag.start, view.toVoxel(x, y)));
    else if (drag.mode === 'ruler' || drag.mode === 'region') viewer.rulers.drag(view, x, y);
    else if (drag.mode === 'brush' || drag.mode === 'erase') wayOf(event).forEach((at) => viewer.brush.drag(view, ...local(at, box)));
    else if (drag.mode === 'lasso' || drag.mode === 'click') viewer.lasso.drag(x, y);
    else if (drag.mode === 'scroll' && drag.moved) {
      drag.rest -= dy;
      const steps = Math.trunc(drag.rest / TOUCH_STEP);
      drag.rest -= steps * TOUCH_STEP;
      if (steps) viewer.scroll(view, steps);
    }
    viewer.wake();
  });

  const finish = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (pinch) {
      if (pointers.size < 2) pinch = null;
      return;
    }
    const ended = drag;
    drag = null;
    if (!ended || event.type === 'pointercancel') {
      viewer.rulers.cancel();
      viewer.brush.cancel();
      viewer.lasso.cancel();
      return viewer.setDraft(null);
    }
    const [x, y] = local(event);
    if (ended.mode === 'brush' || ended.mode === 'erase') return viewer.brush.release();
    if (ended.mode === 'lasso') return viewer.lasso.release();
    if (ended.mode === 'click' && viewer.lasso.free) return viewer.lasso.close(); // a scribble
    if (ended.mode === 'click') viewer.lasso.clear();
    if (ended.mode === 'ruler' || ended.mode === 'region') return viewer.rulers.release(view, x, y);
    if (ended.mode === 'box') {
      const draft = viewer.draft;
      viewer.setDraft(null);
      if (ended.moved && draft) viewer.prompt({ kind: 'box', lo: draft.lo, hi: draft.hi, axis: view.plane.axis });
      return;
    }
    if (ended.moved || event.button > 0) return;
    if (view.shown !== viewer && viewer.tool !== 'navigate') return; // a click on the prior marks nothing in this scan
    const ijk = view.voxelAt(x, y);
    if (viewer.tool === 'positive' || viewer.tool === 'negative') {
      if (ijk) viewer.prompt({ kind: 'point', ijk, positive: viewer.tool === 'positive', axis: view.plane.axis });
      return;
    }
    if (viewer.tool === 'grow') return growFrom(viewer, ijk, event.altKey);
    if (ended.touch && viewer.tool === 'navigate') viewer.moveTo(ijk);
    const now = performance.now();
    const near = Math.hypot(x - lastTap.x, y - lastTap.y) < 12;
    if (viewer.tool === 'navigate' && near && now - lastTap.time < DOUBLE_MS) {
      viewer.maximise(view);
      lastTap.time = 0;
    } else {
      lastTap = { time: now, x, y };
    }
  };
  root.addEventListener('pointerup', finish);
  root.addEventListener('pointercancel', finish);
  root.addEventListener('pointerenter', () => viewer.activate(view));
  root.addEventListener('pointerleave', () => viewer.hover(null));
  root.addEventListener('contextmenu', (event) => event.preventDefault());
  root.addEventListener('auxclick', (event) => event.preventDefault());

  root.addEventListener('wheel', (event) => {
    if (!viewer.volume) return;
    event.preventDefault();
    viewer.activate(view);
    const [x, y] = local(event);
    const unit = event.deltaMode === 1 ? 33 : event.deltaMode === 2 ? 100 : 1;
    const way = (event.deltaY || (event.shiftKey ? event.deltaX : 0)) * unit;
    if (event.ctrlKey || event.metaKey) {
      view.zoomAt(Math.exp(-clamp(way, -120, 120) * 0.004), x, y);
      viewer.showRing();
      return viewer.wake();
    }
    let steps;
    if (Math.abs(way) >= 50) {
      steps = Math.sign(way) * Math.max(1, Math.round(Math.abs(way) / 120));
      wheelRest = 0;
    } else {
      wheelRest += way;
      steps = Math.trunc(wheelRest / WHEEL_STEP);
      wheelRest -= steps * WHEEL_STEP;
    }
    if (steps) viewer.scroll(view, -steps);
    viewer.hover(view, x, y);
  }, { passive: false });
}

/** Where a pointer was since the last event: a browser gathers what comes within a frame. @returns {PointerEvent[]} */
function wayOf(event) {
  const way = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  return way.length ? way : [event];
}

/** Horizontal way changes the width, vertical the level. */
function dragWindow(viewer, drag, x, y) {
  const pace = Math.max(0.5, drag.window.width / 350);
  const width = Math.max(1, drag.window.width + (x - drag.startX) * pace);
  const level = drag.window.level + (y - drag.startY) * pace;
  viewer.setWindow(Math.round(level), Math.round(width));
}

/**
 * Half-open box, one slice thick, that holds the voxels under a rectangle.
 * @param {PlaneView} view @param {object} viewer @param {number[]} a continuous voxel coordinates @param {number[]} b
 * @returns {object|null} draft, or null when the rectangle misses the slice
 */
function boxBetween(view, viewer, a, b) {
  const { axis, h, v } = view.plane;
  const lo = [0, 0, 0];
  const hi = [0, 0, 0];
  lo[axis] = viewer.ijk[axis];
  hi[axis] = lo[axis] + 1;
  for (const n of [h, v]) {
    const top = viewer.volume.shape[n];
    lo[n] = clamp(Math.round(Math.min(a[n], b[n])), 0, top);
    hi[n] = clamp(Math.round(Math.max(a[n], b[n])) + 1, 0, top);
    if (hi[n] - lo[n] < 2) return null;
  }
  return { kind: 'box', lo, hi, plane: view.plane };
}
