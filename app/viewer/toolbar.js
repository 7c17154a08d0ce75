// Buttons and window presets.

/** Paths of the icons, drawn on a 20 x 20 grid with a 1.5 stroke. */
const ICONS = {
  navigate: 'M10 2.5v15M2.5 10h15M10 10m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0',
  positive: 'M10 10m-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0M10 6.7v6.6M6.7 10h6.6',
  negative: 'M10 10m-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0M6.7 10h6.6',
  box: 'M3.5 6.5v-3h3M13.5 3.5h3v3M16.5 13.5v3h-3M6.5 16.5h-3v-3M3.5 9v2M16.5 9v2M9 3.5h2M9 16.5h2',
  window: 'M10 10m-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0M10 3v14M10 6h4.8M10 9h6.8M10 12h6.6M10 15h4.2',
  ruler: 'M2.5 13.5L13.5 2.5L17.5 6.5L6.5 17.5zM5.5 10.5l2 2M8 8l1.5 1.5M10.5 5.5l2 2',
  brush: 'M16.8 3.2c-4 2.2-6.6 4.6-8.3 7.2l2.1 2.1c2.6-1.7 5-4.3 6.2-9.3zM8 11c-2.6 0-3.2 1.7-3.4 3.2c-.1 1-.7 1.7-1.8 2c3.2 1.2 7.4.4 7.4-3',
  erase: 'M11.5 3.5l5 5l-7 7h-3.5l-3-3zM6.8 8.2l5 5M9 16.5h8',
  lasso: 'M10 3.5c4 0 7 1.9 7 4.6s-3 4.7-7 4.7s-7-2-7-4.7s3-4.6 7-4.6M6.2 12.2c-1.6 .9-1.5 2.9 .3 3c1.7 .1 2.3 1.1 1.5 2.3',
  grow: 'M10 10m-1.6 0a1.6 1.6 0 1 0 3.2 0a1.6 1.6 0 1 0 -3.2 0M10 6V2.5M8 4.5L10 2.5L12 4.5M10 14v3.5M8 15.5L10 17.5L12 15.5M6 10H2.5M4.5 8L2.5 10L4.5 12M14 10h3.5M15.5 8L17.5 10L15.5 12',
  region: 'M10 10m-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0M10 8v4M8 10h4',
  slab: 'M3 7l7-3.5L17 7l-7 3.5zM3 10.2l7 3.5l7-3.5M3 13.4l7 3.5l7-3.5',
  undo: 'M7 4L3.5 7.5L7 11M4 7.5h7.5a4.5 4.5 0 0 1 0 9H8',
  redo: 'M13 4l3.5 3.5L13 11M16 7.5H8.5a4.5 4.5 0 0 0 0 9H12',
  clear: 'M4 5.5h12M8 5.5v-2h4v2M5.5 5.5l.8 11h7.4l.8-11M8.5 8.5v5M11.5 8.5v5',
  new: 'M12 3.5H5.5a2 2 0 0 0-2 2v9a2 2 0 0 0 2 2h9a2 2 0 0 0 2-2V8M15 2v5M12.5 4.5h5',
  stop: 'M5.5 5.5h9v9h-9z',
  cross: 'M10 2.5v4.5M10 13v4.5M2.5 10h4.5M13 10h4.5',
  help: 'M10 10m-7.5 0a7.5 7.5 0 1 0 15 0a7.5 7.5 0 1 0 -15 0M7.8 7.8a2.2 2.2 0 1 1 3.4 1.9c-.8 .5-1.2 1-1.2 1.9M10 14.2v.2',
  fit: 'M3.5 7.5v-4h4M12.5 3.5h4v4M16.5 12.5v4h-4M7.5 16.5h-4v-4M7.5 7.5h5v5h-5z',
  play: 'M6.5 4.5v11l9-5.5z',
  photo: 'M3 6.5h3.2l1.3-2h5l1.3 2H17v9.5H3zM10 11m-2.8 0a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0 -5.6 0',
  expand: 'M12 3.5h4.5V8M8 16.5H3.5V12M16.5 3.5L11.5 8.5M3.5 16.5l5-5',
  eye: 'M2 10s3-5.5 8-5.5s8 5.5 8 5.5s-3 5.5-8 5.5s-8-5.5-8-5.5M10 10m-2.3 0a2.3 2.3 0 1 0 4.6 0a2.3 2.3 0 1 0 -4.6 0',
};

/** Groups of the toolbar: [name, label, key, kind, word under the icon where there is room]. */
const BUTTONS = [
  [
    ['navigate', 'Move the crosshair', 'V', 'tool', 'Move'],
    ['positive', 'Include: a point in the object', 'P', 'tool', 'Include'],
    ['negative', 'Exclude: a point outside the object', 'N', 'tool', 'Exclude'],
    ['box', 'Box around the object', 'B', 'tool', 'Box'],
    ['brush', 'Brush: paint into the object by hand', 'D', 'tool', 'Brush'],
    ['erase', 'Eraser: take from the object by hand', 'S', 'tool', 'Erase'],
    ['lasso', 'Lasso or polygon: fill an outline', 'L', 'tool', 'Lasso'],
    ['grow', 'Grow a region of like HU from a click', 'G', 'tool', 'Grow'],
    ['window', 'Window: brightness and contrast by dragging (or right drag)', 'W', 'tool', 'Window'],
    ['ruler', 'Measure a length by dragging; angles and two axes too', 'M', 'tool', 'Length'],
    ['region', 'Region: mean and SD in a circle, rectangle or sphere, from its centre', 'O', 'tool', 'Region'],
  ],
  [
    ['undo', 'Undo', 'Ctrl+Z', 'action', 'Undo'],
    ['redo', 'Redo', 'Ctrl+Shift+Z', 'action', 'Redo'],
    ['clear', 'Clear this object', '', 'action', 'Clear'],
    ['new', 'New object', 'A', 'action', 'New'],
  ],
  [
    ['eye', 'Hide all masks', 'H', 'view', 'Masks'],
    ['cross', 'Hide the crosshair', 'X', 'view', 'Cross'],
    ['fit', 'Fit the planes to the view', 'F', 'view', 'Fit'],
    ['slab', 'Thick slab: maximum, minimum or mean', 'K', 'view', 'Slab'],
  ],
];

const TOOLS = BUTTONS[0].map(([name]) => name);

/** @param {string} name one of ICONS @returns {SVGElement} */
function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * Builds the toolbar.
 * @param {object} viewer
 * @returns {{root: HTMLElement, refresh: () => void, setWindows: (windows: object[]) => void}}
 */
function buildToolbar(viewer) {
  const root = make('div', 'mv-bar');
  root.setAttribute('role', 'toolbar');
  root.setAttribute('aria-label', 'Viewer tools');
  const buttons = {};
  const addButton = (parent, name, label, key, onclick) => {
    const button = make('button', 'mv-button mv-' + name);
    button.type = 'button';
    button.dataset.name = name;
    button.append(icon(name));
    button.title = key ? label + ' (' + key + ')' : label;
    button.setAttribute('aria-label', label);
    button.addEventListener('click', onclick);
    parent.append(button);
    buttons[name] = button;
    return button;
  };
  for (const group of BUTTONS) {
    const box = make('div', 'mv-group');
    for (const [name, label, key, kind, word] of group) {
      addButton(box, name, label, key, () => {
        if (kind === 'tool') {
          viewer.setTool(name);
          viewer.root.focus({ preventScroll: true }); // the next key is for the planes
        } else if (name === 'clear' && (viewer.tool === 'ruler' || viewer.tool === 'region')) viewer.rulers.remove();
        else if (kind === 'action') viewer.action(name);
        else if (name === 'fit') viewer.fit();
        else if (name === 'slab') viewer.slab.set(viewer.slab.mode ? '' : 'MIP', viewer.slab.mm);
        else if (name === 'cross') viewer.showHairs(!viewer.hairsShown);
        else viewer.showMasks(!viewer.masksShown);
      });
      buttons[name].append(make('span', 'mv-word', word));
    }
    root.append(box);
  }
  const presets = make('select', 'mv-presets');
  presets.title = 'Window (keys 1 to 6)';
  presets.setAttribute('aria-label', 'Window preset');
  presets.addEventListener('change', () => {
    if (presets.value !== '') viewer.usePreset(Number(presets.value));
    viewer.root.focus({ preventScroll: true });
  });
  root.append(presets);
  addButton(root, 'stop', 'Stop the segmentation', '', () => viewer.action('stop'));
  const stopWord = make('span', 'mv-stopword', 'Stop');
  buttons.stop.append(stopWord);
  addButton(root, 'help', 'Keys and gestures', '?', () => viewer.help.open()).append(make('span', 'mv-word', 'Keys'));

  return {
    root,
    setWindows(windows) {
      presets.replaceChildren();
      windows.forEach((w, n) => {
        const option = make('option', '', w.name + '  ' + w.level + ' / ' + w.width);
        option.value = String(n);
        presets.append(option);
      });
      const own = make('option', '', 'Own window');
      own.value = '';
      own.hidden = true;
      presets.append(own);
    },
    refresh() {
      const ready = Boolean(viewer.volume);
      const toggled = { eye: !viewer.masksShown, cross: !viewer.hairsShown, slab: Boolean(viewer.slab.mode) };
      for (const name of TOOLS) toggled[name] = name === viewer.tool;
      for (const [name, button] of Object.entries(buttons)) {
        if (name in toggled) button.setAttribute('aria-pressed', String(toggled[name]));
        button.disabled = !ready && name !== 'help';
      }
      const measuring = viewer.tool === 'ruler' || viewer.tool === 'region';
      const clears = measuring ? 'Clear the measurement (Delete)' : 'Clear this object';
      buttons.clear.title = clears;
      buttons.clear.setAttribute('aria-label', clears);
      buttons.stop.hidden = !viewer.busy;
      buttons.stop.disabled = viewer.stopping;
      setText(stopWord, viewer.stopping ? 'Stopping' : 'Stop');
      presets.disabled = !ready;
      presets.value = viewer.preset === null ? '' : String(viewer.preset);
    },
  };
}
