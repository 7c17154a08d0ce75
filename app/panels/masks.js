// The masks panel. Names are a visitor's text: they reach the page only through textContent and input values.
const $ = (selector) => element.querySelector(selector);
const list = $('.mp-list'), detail = $('.mp-detail'), nameInput = $('.mp-name'), colorInput = $('.mp-color');
const opacityInput = $('.mp-opacity'), other = $('.mp-other');
const EYE = 'M1 8s2.6-4.6 7-4.6S15 8 15 8s-2.6 4.6-7 4.6S1 8 1 8z';
let model = { masks: [], active: null };
// While an event streams, Gradio may turn the value in place into an update that holds nothing: keep a copy of the last one.
const given = () => (props.value && props.value.masks ? JSON.parse(JSON.stringify(props.value)) : null);

/** What is to be done, to the server; without network it is not done, and that is said. */
function send(op, id, more) {
  if (navigator.onLine) return trigger('edit', Object.assign({ op, id: id || '' }, more || {}));
  model.told = 'No connection: this was not done. Do it again when it is back.';
  nameInput.blur(); // a name that was typed gives way to what there is
  showDetail();
}
const active = () => model.masks.find((m) => m.id === model.active) || null;
const fixed = (value, digits) => (value == null ? '–'
  : value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const least = (mask) => (mask.limits ? '\u2265 ' : '');
const remarks = (mask) => [
  ...(mask.limits ? [`\u2265 means at least: it ${mask.limits}.`] : []),
  ...(mask.doubt ? [`Doubtful: ${mask.doubt}. Check it before using its values.`] : []),
];
const volume = (ml) => `${fixed(ml, ml < 10 ? 2 : ml < 100 ? 1 : 0)} mL`;

function eyeIcon(visible) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  const add = (tag, attributes) => {
    const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    svg.appendChild(node);
  };
  add('path', { d: EYE });
  add('circle', { cx: 8, cy: 8, r: 2 });
  if (!visible) add('path', { d: 'M2.5 14 13.5 2' });
  return svg;
}

function makeRow(mask) {
  const row = document.createElement('li');
  row.className = 'mp-row';
  row.dataset.id = mask.id;
  const pick = document.createElement('button');
  pick.type = 'button';
  pick.className = 'mp-pick';
  pick.title = 'Select this mask and centre the viewer on it';
  const swatch = document.createElement('span');
  swatch.className = 'mp-swatch';
  const name = document.createElement('span');
  name.className = 'mp-rowname';
  const size = document.createElement('span');
  size.className = 'mp-size';
  const eye = document.createElement('button');
  eye.type = 'button';
  eye.className = 'mp-eye';
  pick.append(swatch, name, size);
  row.append(pick, eye);
  return row;
}

function fillRow(row, mask) {
  const on = mask.id === model.active;
  row.classList.toggle('is-active', on);
  row.classList.toggle('is-running', mask.running);
  row.classList.toggle('is-hidden', !mask.visible);
  const [pick, eye] = row.children;
  pick.setAttribute('aria-pressed', String(on));
  pick.children[0].style.background = mask.color;
  pick.children[1].textContent = mask.name;
  pick.children[1].title = mask.name;
  pick.children[2].textContent = least(mask) + volume(mask.volume_ml) + (mask.doubt ? ' ?' : '');
  pick.children[2].title = remarks(mask).join(' ');
  eye.setAttribute('aria-label', (mask.visible ? 'Hide ' : 'Show ') + mask.name);
  eye.title = mask.visible ? 'Hide' : 'Show';
  if (eye.dataset.on !== String(mask.visible)) {
    eye.dataset.on = String(mask.visible);
    eye.replaceChildren(eyeIcon(mask.visible));
  }
}

function showDetail() {
  const mask = active();
  detail.hidden = !mask;
  if (!mask) return;
  if (document.activeElement !== nameInput || detail.dataset.id !== mask.id) nameInput.value = mask.name;
  detail.dataset.id = mask.id;
  colorInput.value = mask.color;
  if (document.activeElement !== opacityInput) opacityInput.value = Math.round(mask.opacity * 100);
  const facts = {
    volume: least(mask) + volume(mask.volume_ml),
    hu: mask.mean_hu == null ? '–' : `${fixed(mask.mean_hu, 0)} ± ${fixed(mask.sd_hu, 0)} HU`,
    diameter: mask.longest_diameter_mm == null ? '–' : `${least(mask)}${fixed(mask.longest_diameter_mm, 1)} mm`,
    percentiles: (mask.percentiles_hu || []).map((hu) => fixed(hu, 0)).join(' / ') || '–',
    slices: mask.slices ? `${mask.slices[0] + 1} to ${mask.slices[1] + 1}` : '–',
  };
  Object.entries(facts).forEach(([key, text]) => { $(`[data-fact="${key}"]`).textContent = text; });
  $('.mp-limits').textContent = remarks(mask).join(' ');
  $('.mp-limits').hidden = !(mask.limits || mask.doubt);
  $('.mp-onward').hidden = !mask.stopped;
    const others = model.masks.filter((m) => m.id !== mask.id && !m.running);
  const chosen = other.value;
  other.replaceChildren(...others.map((m) => {
    const option = document.createElement('option');
    option.value = m.id;
    option.textContent = m.name;
    return option;
  }));
  if (others.some((m) => m.id === chosen)) other.value = chosen;
  $('.mp-combine').hidden = others.length === 0;
  detail.querySelectorAll('[data-op],.mp-name,.mp-color').forEach((node) => { node.disabled = mask.running; });
  $('.mp-told').textContent = model.told || '';
  showHistogram();
}

// ---- histograms, drawn by Plotly, which comes from this server when the first is asked for

let plotly = null;
function withPlotly() {
  plotly = plotly || new Promise((resolve, reject) => {
    if (window.Plotly) return resolve(window.Plotly); // the 3-D view has brought it
    const script = document.createElement('script');
    script.src = window.medvlViewer.volume.url.replace(/[^/]+$/, 'plotly.js');
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { plotly = null; script.remove(); reject(new Error('Plotly could not be loaded')); };
    document.head.append(script);
  });
  return plotly;
}

/** Where a histogram is drawn. @returns {HTMLElement} */
function histogramPlace() {
  const place = document.createElement('div');
  place.className = 'mp-histogram';
  place.setAttribute('role', 'img');
  return place;
}

/**
 * Draws how often each HU is there, from the first to the last but for one voxel in 200 at either end.
 * @param {HTMLElement} place of histogramPlace @param {Uint32Array|null} counts from -2048 HU on @param {string} color
 */
function drawHistogram(place, counts, color) {
  const total = counts ? counts.reduce((sum, n) => sum + n, 0) : 0;
  place.hidden = !total;
  if (!total) return;
  const rank = (share) => { let sum = 0; return counts.findIndex((n) => (sum += n) >= Math.max(1, share * total)); };
  const [low, high] = [rank(0.005), rank(0.995)], step = Math.max(1, Math.ceil((high - low + 1) / 80));
  const x = [], y = [], text = [];
  for (let at = low; at <= high; at += step) {
    const from = at - 2048, n = counts.slice(at, at + step).reduce((sum, one) => sum + one, 0);
    x.push(from + (step - 1) / 2);
    y.push(n);
    text.push(step > 1 ? `${from} to ${from + step - 1} HU` : `${from} HU`);
  }
  const most = y.indexOf(Math.max(...y));
  place.setAttribute('aria-label', `Histogram of ${total} voxels, most at ${text[most]}`);
  const shape = JSON.stringify([x, y, color, document.body.classList.contains('dark')]);
  if (place.dataset.shape === shape) return;
  place.dataset.shape = shape;
  const look = getComputedStyle(element), [soft, line] = ['--soft', '--line'].map((name) => look.getPropertyValue(name).trim());
  const axis = { gridcolor: line, linecolor: line, zeroline: false, ticks: '', fixedrange: true };
  withPlotly().then((Plotly) => Plotly.react(place, [{
    type: 'bar', x, y, text, width: step, textposition: 'none', marker: { color, line: { width: 0 } },
    hovertemplate: '%{text}<br>%{y:,} voxels<extra></extra>',
  }], {
    height: 150, margin: { l: 46, r: 6, t: 6, b: 34 }, bargap: 0, paper_bgcolor: 'transparent', plot_bgcolor: 'transparent',
    font: { family: 'system-ui, sans-serif', size: 11, color: soft }, hoverlabel: { bgcolor: '#1d2733', bordercolor: '#1d2733', font: { size: 11, color: '#fff' } }, dragmode: 'zoom',
    xaxis: { ...axis, fixedrange: false, showgrid: false, title: { text: 'HU', standoff: 4 }, uirevision: place.dataset.of },
    yaxis: { ...axis, title: { text: 'voxels', standoff: 6 }, nticks: 4 },
  }, { displayModeBar: false, responsive: true })).catch((error) => { place.textContent = error.message; });
}

const spread = $('.mp-spread'), ofMask = histogramPlace(), ofRegion = histogramPlace();
spread.append(ofMask);

/** That of the selected mask, while it is asked for. */
function showHistogram() {
  const mask = active();
  if (!spread.open || !spread.offsetParent || !mask || mask.running || !window.medvlViewer) return;
  ofMask.dataset.of = mask.id;
  drawHistogram(ofMask, window.medvlViewer.histogram(mask.id), mask.color);
}
spread.addEventListener('toggle', showHistogram);

function render() {
  const before = model.active;
  model = given() || model;
  const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
  const wanted = model.masks.map((mask) => rows.get(mask.id) || makeRow(mask));
  rows.forEach((row) => { if (!wanted.includes(row)) row.remove(); });
  wanted.forEach((row, at) => { // a row that stays keeps its focus and a click that is under way
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] || null);
    fillRow(row, model.masks[at]);
  });
  $('.mp-empty').hidden = model.masks.length > 0;
  $('.mp-next').hidden = model.masks.length === 0 || active() !== null;
  $('[data-op="undo"]').disabled = !model.undo;
  $('[data-op="redo"]').disabled = !model.redo;
  $('[data-op="clear"]').disabled = !active();
  $('[data-op="new"]').disabled = !active();
  showDetail();
  const chosen = [...list.children].find((row) => row.dataset.id === model.active);
  if (chosen && model.active !== before) { // the list alone scrolls: the page stays where the visitor is
    const above = chosen.offsetTop - list.offsetTop, below = above + chosen.offsetHeight - list.clientHeight;
    list.scrollTop = Math.min(above, Math.max(below, list.scrollTop));
  }
}

element.addEventListener('click', (event) => {
  const eye = event.target.closest('.mp-eye');
  const row = event.target.closest('.mp-row');
  const button = event.target.closest('[data-op]');
  if (eye && row) {
    const mask = model.masks.find((m) => m.id === row.dataset.id);
    send('eye', row.dataset.id, { visible: !mask.visible });
  } else if (row) {
    send('jump', row.dataset.id);
  } else if (button && button.dataset.op === 'follow') {
    button.disabled = navigator.onLine;
    if (navigator.onLine) trigger('follow', { id: model.active });
    else send('follow');
  } else if (button) {
    const [mm, low, high] = ['.mp-mm', '.mp-low', '.mp-high'].map((name) => Number($(name).value));
    send(button.dataset.op, model.active, { other: other.value, mm, low, high });
  }
});
element.addEventListener('dblclick', (event) => {
  if (event.target.closest('.mp-rowname')) nameInput.select();
});
list.addEventListener('keydown', (event) => {
  const step = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' }[event.key];
  const row = event.target.closest('.mp-row');
  if (!step || !row) return;
  event.preventDefault(); // the list does not scroll beside, the viewer not at all
  event.stopPropagation();
  if (row[step]) row[step].querySelector(event.target.closest('.mp-eye') ? '.mp-eye' : '.mp-pick').focus();
});
// Keys typed into a name are letters, not tools of the viewer.
['keydown', 'keyup', 'keypress'].forEach((kind) => detail.querySelectorAll('input').forEach((input) => input.addEventListener(kind, (event) => event.stopPropagation())));
nameInput.addEventListener('keydown', (event) => {
  if (event.key === 'Enter') nameInput.blur();
  if (event.key === 'Escape') { nameInput.value = active() ? active().name : ''; nameInput.blur(); }
});
nameInput.addEventListener('change', () => {
  const name = nameInput.value.trim(), mask = active();
  if (mask && name && name !== mask.name) send('rename', detail.dataset.id, { name });
  else if (mask) nameInput.value = mask.name;
});
colorInput.addEventListener('change', () => send('color', detail.dataset.id, { color: colorInput.value }));
opacityInput.addEventListener('change', () => send('opacity', detail.dataset.id, { opacity: opacityInput.value / 100 }));

// Lengths and regions live in the browser: the viewer tells when they change.
const measured = $('.mp-measured'), lengths = $('.mp-lengths');
function measure(one) {
  const row = document.createElement('li');
  row.className = 'mp-length';
  const input = document.createElement('input');
  input.className = 'mp-name mp-lengthname';
  input.maxLength = 60;
  input.value = one.name;
  input.placeholder = { line: 'Length', angle: 'Angle', axes: 'Two axes', circle: 'Circle', rectangle: 'Rectangle', sphere: 'Sphere' }[one.kind] + ` ${one.n + 1}`;
  input.setAttribute('aria-label', 'Name');
  input.addEventListener('change', () => window.medvlViewer.measured.rename(one.n, input.value));
  ['keydown', 'keyup', 'keypress'].forEach((kind) => input.addEventListener(kind, (event) => event.stopPropagation()));
  const value = document.createElement('span');
  value.className = 'mp-size';
  value.textContent = one.words;
  value.title = `${one.plane} slice ${one.slice}`;
  const button = (text, title, act) => {
    const node = document.createElement('button');
    node.type = 'button';
    node.className = 'mp-btn';
    node.textContent = text;
    node.title = title;
    node.addEventListener('click', act);
    return node;
  };
  row.append(input, value, button('Go', 'Centre the viewer on it', () => window.medvlViewer.measured.jump(one.n)),
    button('\u00d7', 'Remove it', () => window.medvlViewer.measured.drop(one.n)));
  row.lastChild.setAttribute('aria-label', 'Remove');
  if (one.range) {
    const range = document.createElement('small');
    range.className = 'mp-range';
    range.textContent = `${one.range}, ${one.plane} slice ${one.slice}`;
    row.append(range);
  }
  if (one.chosen) row.append(ofRegion); // drawn or gone to last
  return row;
}
let toldLengths = '', later = 0;
/** The histogram of the chosen region, where it is seen. */
function showRegion() {
  const chosen = window.medvlViewer && window.medvlViewer.measured.list().find((one) => one.chosen);
  if (!chosen || !lengths.offsetParent) return;
  drawHistogram(ofRegion, window.medvlViewer.measured.counts(chosen.n), getComputedStyle(element).getPropertyValue('--accent').trim());
}
new ResizeObserver(() => { showHistogram(); showRegion(); }).observe(element); // the tab was opened
function showMeasured() {
  const list = window.medvlViewer ? window.medvlViewer.measured.list() : [];
  measured.hidden = list.length === 0;
  const told = JSON.stringify(list);
  if (told === toldLengths || lengths.contains(document.activeElement) && document.activeElement.matches('input')) return;
  toldLengths = told;
  lengths.replaceChildren(...list.map(measure));
  clearTimeout(later);
  later = setTimeout(showRegion, 60); // not at every step of a drag
}
window.addEventListener('medvl-measured', () => { if (element.isConnected) showMeasured(); });
lengths.addEventListener('focusout', () => setTimeout(showMeasured));
showMeasured();
watch('value', render);
render();
