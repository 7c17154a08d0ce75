// Buttons, window presets and keys.

/** Paths of the icons, drawn on a 20 x 20 grid with a 1.5 stroke. */
const ICONS = {
  navigate: 'M10 2.5v15M2.5 10h15M10 10m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0',
  positive: 'M10 10m-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0M10 6.7v6.6M6.7 10h6.6',
  negative: 'M10 10m-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0M6.7 10h6.6',
  box: 'M3.5 6.5v-3h3M13.5 3.5h3v3M16.5 13.5v3h-3M6.5 16.5h-3v-3M3.5 9v2M16.5 9v2M9 3.5h2M9 16.5h2',
  window: 'M10 10m-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0M10 3v14M10 6h4.8M10 9h6.8M10 12h6.6M10 15h4.2',
  undo: 'M7 4L3.5 7.5L7 11M4 7.5h7.5a4.5 4.5 0 0 1 0 9H8',
  redo: 'M13 4l3.5 3.5L13 11M16 7.5H8.5a4.5 4.5 0 0 0 0 9H12',
  clear: 'M4 5.5h12M8 5.5v-2h4v2M5.5 5.5l.8 11h7.4l.8-11M8.5 8.5v5M11.5 8.5v5',
  new: 'M12 3.5H5.5a2 2 0 0 0-2 2v9a2 2 0 0 0 2 2h9a2 2 0 0 0 2-2V8M15 2v5M12.5 4.5h5',
  stop: 'M5.5 5.5h9v9h-9z',
  fit: 'M3.5 7.5v-4h4M12.5 3.5h4v4M16.5 12.5v4h-4M7.5 16.5h-4v-4M7.5 7.5h5v5h-5z',
  expand: 'M12 3.5h4.5V8M8 16.5H3.5V12M16.5 3.5L11.5 8.5M3.5 16.5l5-5',
  eye: 'M2 10s3-5.5 8-5.5s8 5.5 8 5.5s-3 5.5-8 5.5s-8-5.5-8-5.5M10 10m-2.3 0a2.3 2.3 0 1 0 4.6 0a2.3 2.3 0 1 0 -4.6 0',
};

/** Groups of the toolbar: [name, label, key, kind, word beside the icon where there is room]. */
const BUTTONS = [
  [
    ['navigate', 'Move the crosshair', 'V', 'tool'],
    ['positive', 'Point: part of the object', 'P', 'tool', 'Include'],
    ['negative', 'Point: not part of the object', 'N', 'tool', 'Exclude'],
    ['box', 'Box around the object', 'B', 'tool', 'Box'],
    ['window', 'Brightness and contrast by dragging (or right drag)', 'W', 'tool'],
  ],
  [
    ['undo', 'Undo', 'Ctrl+Z', 'action'],
    ['redo', 'Redo', 'Ctrl+Shift+Z', 'action'],
    ['clear', 'Clear this object', '', 'action'],
    ['new', 'New object', 'A', 'action'],
  ],
  [
    ['eye', 'Show or hide all masks', 'H', 'view'],
    ['fit', 'Fit the planes to the view', 'F', 'view'],
  ],
];

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
        if (kind === 'tool') viewer.setTool(name);
        else if (kind === 'action') viewer.action(name);
        else if (name === 'fit') viewer.fit();
        else viewer.showMasks(!viewer.masksShown);
      });
      if (word) buttons[name].append(make('span', 'mv-word', word));
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
  addButton(root, 'stop', 'Stop the segmentation', '', () => viewer.action('stop')).append(make('span', '', 'Stop'));

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
      for (const [name, button] of Object.entries(buttons)) {
        const pressed = name === viewer.tool || (name === 'eye' && !viewer.masksShown);
        if (['navigate', 'positive', 'negative', 'box', 'window', 'eye'].includes(name)) {
          button.setAttribute('aria-pressed', String(pressed));
        }
        button.disabled = !ready;
      }
      buttons.stop.hidden = !viewer.busy;
      presets.disabled = !ready;
      presets.value = viewer.preset === null ? '' : String(viewer.preset);
    },
  };
}

/**
 * Keys act while the viewer or the bare page has the focus, never while someone types.
 * @param {object} viewer
 */
function attachKeys(viewer) {
  const tools = { v: 'navigate', escape: 'navigate', p: 'positive', n: 'negative', b: 'box', w: 'window' };
  const steps = { arrowup: 1, arrowright: 1, arrowdown: -1, arrowleft: -1, pageup: 10, pagedown: -10 };
  const listener = (event) => {
    if (!viewer.root.isConnected) return document.removeEventListener('keydown', listener);
    const target = event.target;
    const focused = target === document.body || viewer.root.contains(target);
    const typing = target.closest && target.closest('input, textarea, select, [contenteditable="true"]');
    if (!focused || typing || event.defaultPrevented || !viewer.volume || !viewer.root.offsetParent) return;
    const key = event.key.toLowerCase();
    let used = true;
    if (event.ctrlKey || event.metaKey) {
      if (key === 'z') viewer.action(event.shiftKey ? 'redo' : 'undo');
      else if (key === 'y') viewer.action('redo');
      else used = false;
    } else if (event.altKey) used = false;
    else if (tools[key]) {
      viewer.setDraft(null);
      viewer.setTool(tools[key]);
    } else if (steps[key]) viewer.scroll(viewer.activeView, steps[key]);
    else if (key === 'home' || key === 'end') viewer.scroll(viewer.activeView, key === 'home' ? 1e6 : -1e6);
    else if (key === 'a') viewer.action('new');
    else if (key === 'h') viewer.showMasks(!viewer.masksShown);
    else if (key === 'f') viewer.fit();
    else if (key === '+' || key === '=' || key === '-') {
      viewer.activeView.zoomAt(key === '-' ? 0.8 : 1.25, viewer.activeView.size[0] / 2, viewer.activeView.size[1] / 2);
      viewer.wake();
    } else if (/^[1-9]$/.test(key) && viewer.volume.info.windows[key - 1]) viewer.usePreset(Number(key) - 1);
    else used = false;
    if (used) event.preventDefault();
  };
  document.addEventListener('keydown', listener);
}
