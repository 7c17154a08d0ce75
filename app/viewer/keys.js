// Keys, and the sheet that tells of them.

const TOOL_KEYS = { v: 'navigate', p: 'positive', n: 'negative', b: 'box', d: 'brush', s: 'erase', w: 'window', m: 'ruler', o: 'region', l: 'lasso', g: 'grow' };
const STEP_KEYS = { arrowup: 1, arrowright: 1, arrowdown: -1, arrowleft: -1, pageup: 10, pagedown: -10, home: 1e6, end: -1e6 };

const IN_PLANE = { arrowleft: [1, 0], arrowright: [-1, 0], arrowup: [0, 1], arrowdown: [0, -1] }; // against the screen's

/** Keys that do one thing, by name; the viewer's own are at hand as `viewer`. */
const VIEW_KEYS = {
  a: (viewer) => viewer.action('new'),
  h: (viewer) => viewer.showMasks(!viewer.masksShown),
  x: (viewer) => viewer.showHairs(!viewer.hairsShown),
  f: (viewer) => viewer.fit(),
  r: (viewer) => viewer.resetView(),
  c: (viewer) => viewer.prior.swap(),
  i: (viewer) => savePicture(viewer.activeView),
  j: (viewer) => viewer.cine.toggle(),
  t: (viewer) => viewer.activate(viewer.views[(viewer.views.indexOf(viewer.activeView) + 1) % PLANES.length]),
  k: (viewer) => viewer.slab.set(viewer.slab.mode ? '' : 'MIP', viewer.slab.mm),
  e: (viewer) => viewer.maximise(viewer.activeView),
  '[': (viewer) => viewer.brush.setRadius(viewer.brush.radius - (viewer.brush.radius > 5 ? 1 : 0.5)),
  ']': (viewer) => viewer.brush.setRadius(viewer.brush.radius + (viewer.brush.radius >= 5 ? 1 : 0.5)),
  '?': (viewer) => viewer.help.open(),
  '+': (viewer) => viewer.zoom(1.25),
  '=': (viewer) => viewer.zoom(1.25),
  '-': (viewer) => viewer.zoom(0.8),
};

/** What the sheet says: [title, [[keys or gesture, what it does], ...]]. */
const HELP = [
  ['Look', [
    ['Wheel, arrows, drag with a finger', 'Slice by slice'],
    ['Page Up, Page Down', 'Ten slices'],
    ['Home, End', 'Last, first slice'],
    ['Click, V', 'Move the crosshair'],
    ['Shift+arrows', 'Move it in the plane, a voxel a step'],
    ['T', 'Next plane: keys act on it'],
    ['Right drag, W', 'Brightness and contrast'],
    ['1 to 6', 'Window presets'],
    ['Ctrl+wheel, + and -, two fingers', 'Zoom'],
    ['Shift+drag, middle drag, two fingers', 'Move the picture'],
    ['Double click, E', 'One plane large, and back'],
    ['C', 'This scan or the prior'],
    ['K', 'Thick slab (MIP, MinIP, mean) on or off'],
    ['J', 'Play the slices, or pause'],
    ['I', 'Save the plane as a picture (PNG)'],
    ['X', 'Crosshair on or off'],
    ['H', 'Masks on or off'],
    ['F', 'Fit the planes'],
    ['R', 'Reset planes, zoom and window'],
  ]],
  ['Segment', [
    ['P', 'Point: part of the object'],
    ['N', 'Point: not part of it'],
    ['P or N, then drag', 'Scribble: points along a line'],
    ['P, N or G, then Enter', 'The point where the crosshair is'],
    ['B, then Enter twice', 'The corners of a box, by keys alone'],
    ['B', 'Box round the object'],
    ['D, S', 'Brush, eraser'],
    ['L, then drag', 'Lasso: fills its outline; Alt takes away'],
    ['L, then clicks, Enter', 'Polygon; Backspace takes a corner back'],
    ['L, "Ask the model"', 'The model follows what the outline holds'],
    ['G, then click', 'Grow in a range of HU; Alt takes away'],
    ['[ and ]', 'Smaller, larger brush'],
    ['A', 'New object'],
    ['Ctrl+Z, Ctrl+Shift+Z', 'Undo, redo'],
  ]],
  ['Measure', [
    ['M, then drag', 'Length, angle or two axes; drag an end to change it'],
    ['O, then drag', 'Mean and SD in a circle, rectangle or sphere'],
    ['M or O, then Enter', 'Each end where the crosshair is, by keys alone'],
    ['Delete', 'Remove the length or region'],
    ['Esc', 'Give up what is being drawn, put the tool away'],
  ]],
];

/**
 * Keys act wherever the focus is, never while someone types. Keys that move a focus or press what has it (arrows, Enter)
 * act while the viewer or the bare page has the focus, or the mouse is over a plane.
 * @param {object} viewer
 */
function attachKeys(viewer) {
  const listener = (event) => {
    if (!viewer.root.isConnected) return document.removeEventListener('keydown', listener);
    const target = event.target;
    const focused = target === document.body || viewer.root.contains(target) || viewer.pointer;
    const typing = target.closest && target.closest('input:not([type="range"]), textarea, select, dialog, [contenteditable="true"]');
    const own = event.key.length > 1; // a named key: the button or the list that has the focus has a use for it
    const slider = target.type === 'range';
    const pressed = event.key === 'Enter' && target.matches('button:focus-visible'); // by key alone: its own press
    if ((own && (!focused || slider || pressed)) || typing || event.defaultPrevented || !viewer.volume || !viewer.root.offsetParent) return;
    if (press(viewer, event)) event.preventDefault();
  };
  document.addEventListener('keydown', listener);
}

/** @param {object} viewer @param {KeyboardEvent} event @returns {boolean} whether the key has a meaning */
function press(viewer, event) {
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === 'z') viewer.action(event.shiftKey ? 'redo' : 'undo');
    else if (key === 'y') viewer.action('redo');
    else return false;
  } else if (event.altKey) return false;
  else if (key === 'escape') {
    viewer.setDraft(null);
    const held = [viewer.brush, viewer.rulers, viewer.lasso, viewer.keyedBox];
    if (!held.map((one) => one.cancel()).some(Boolean)) viewer.setTool('navigate');
  } else if (key === 'delete' || key === 'backspace') return viewer.lasso.back() || viewer.rulers.remove();
  else if (Object.hasOwn(TOOL_KEYS, key)) {
    viewer.setDraft(null);
    viewer.setTool(TOOL_KEYS[key]);
  } else if (event.shiftKey && key.startsWith('arrow')) viewer.step(viewer.activeView, ...IN_PLANE[key]);
  else if (key === 'enter') return viewer.lasso.close() || setAtCrosshair(viewer);
  else if (Object.hasOwn(STEP_KEYS, key)) viewer.scroll(viewer.activeView, STEP_KEYS[key]);
  else if (Object.hasOwn(VIEW_KEYS, key)) VIEW_KEYS[key](viewer);
  else if (/^[1-9]$/.test(key) && viewer.volume.info.windows[key - 1]) viewer.usePreset(Number(key) - 1);
  else return false;
  return true;
}

/** The sheet of keys and gestures; the browser keeps the focus in it and closes it with Esc. */
class Help {
  /** @param {object} viewer */
  constructor(viewer) {
    this.root = make('dialog', 'mv-help-sheet');
    this.root.setAttribute('aria-label', 'Keys and gestures of the viewer');
    const close = make('button', 'mv-retry', 'Close');
    close.type = 'button';
    close.addEventListener('click', () => this.root.close());
    const columns = make('div', 'mv-help-columns');
    for (const [title, rows] of HELP) {
      const part = make('section', '');
      const list = make('dl', '');
      for (const [keys, meaning] of rows) list.append(make('dt', '', keys), make('dd', '', meaning));
      part.append(make('h2', '', title), list);
      columns.append(part);
    }
    this.root.append(columns, close);
    this.root.addEventListener('click', (event) => { if (event.target === this.root) this.root.close(); });
    this.root.addEventListener('keydown', (event) => { if (event.key === '?') this.root.close(); });
    this.root.addEventListener('close', () => viewer.root.focus({ preventScroll: true }));
  }

  /** Shows the sheet. */
  open() {
    if (!this.root.open) this.root.showModal();
  }
}
