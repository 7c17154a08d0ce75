// Choice of files; the zip comes from the session's own route, not from a folder that others can read.
const $ = (selector) => element.querySelector(selector);
const kinds = $('.ep-kinds'), go = $('.ep-go'), state = $('.ep-state'), link = $('.ep-link');
const chosen = new Set(['labels', 'csv', 'dicom_seg']);
const hidden = $('.ep-hidden'), overlaps = $('.ep-overlaps');
const SHOWN = 6; // overlaps; the table has all
let sent = null; // lengths on their way to a file
let drawn = '', fetched = '', timer = null, last = {};
// While an event streams, Gradio may turn the value in place into an update that holds nothing: keep a copy of the last one.
const given = () => (props.value && props.value.kinds ? JSON.parse(JSON.stringify(props.value)) : null);

const save = $('.ep-save'), caseState = $('.ep-case-state'), caseLink = $('.ep-case-link');
let savedCase = '', saving = null;
const root = () => ((window.gradio_config && window.gradio_config.root) || '').replace(/\/$/, '');
const idle = (text) => { clearTimeout(timer); go.disabled = false; state.textContent = text; };

function drawKinds(list) {
  const shape = JSON.stringify(list);
  if (shape === drawn) return;
  drawn = shape;
  kinds.querySelectorAll('label').forEach((label) => label.remove());
  list.forEach((kind) => {
    const label = document.createElement('label');
    label.className = kind.possible ? 'ep-kind' : 'ep-kind is-off';
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.value = kind.id;
    box.disabled = !kind.possible;
    box.checked = kind.possible && chosen.has(kind.id);
    const words = document.createElement('span');
    words.textContent = kind.label;
    const hint = document.createElement('small');
    hint.textContent = kind.hint;
    label.append(box, words, hint);
    kinds.appendChild(label);
  });
}

/** Hidden masks are left out unless they are asked for, and so is what they overlap. */
function drawMasks() {
  const names = last.hidden || [];
  hidden.hidden = names.length === 0;
  hidden.querySelector('small').textContent = names.length > 2 ? `${names.length} masks` : names.join(', ');
  const told = (last.overlaps || []).filter((one) => !one.hidden || hidden.querySelector('input').checked);
  overlaps.hidden = told.length === 0;
  const more = told.length > SHOWN ? [{ text: `and ${told.length - SHOWN} more, see measurements.csv` }] : [];
  overlaps.querySelector('ul').replaceChildren(...[...told.slice(0, SHOWN), ...more].map((one) => {
    const row = document.createElement('li');
    row.textContent = one.text;
    return row;
  }));
}

function drawCase(file) {
  clearTimeout(saving);
  save.disabled = false;
  caseLink.hidden = !file;
  if (!file) { savedCase = caseState.textContent = ''; return; }
  caseLink.href = root() + file.href;
  caseLink.download = file.name;
  caseLink.textContent = `${file.name} (${file.size_mb < 0.1 ? '< 0.1' : file.size_mb.toFixed(1)} MB)`;
  caseState.textContent = 'Saved. Drop the file into the box of the Scan tab to go on with it.';
  if (file.href !== savedCase) {
    savedCase = file.href;
    if (window.medvlViewer) window.medvlViewer.filedLengths(sent);
    caseLink.click();
  }
}

function render() {
  const value = given() || last;
  last = value;
  drawKinds(value.kinds || []);
  drawMasks();
  drawCase(value.case);
  const file = value.file;
  link.hidden = !file;
  if (!file) { fetched = ''; idle(''); return; }
  link.href = root() + file.href;
  link.download = file.name;
  link.textContent = `${file.name} (${file.size_mb < 0.1 ? '< 0.1' : file.size_mb.toFixed(1)} MB)`;
  if (file.href !== fetched) {
    fetched = file.href;
    if (window.medvlViewer) window.medvlViewer.filedLengths(sent);
    idle(['Ready.', value.note, 'If the download did not start, use the link.'].filter(Boolean).join(' '));
    link.click();
  }
}

kinds.addEventListener('change', (event) => {
  if (event.target.checked) chosen.add(event.target.value); else chosen.delete(event.target.value);
});
hidden.addEventListener('change', drawMasks);
go.addEventListener('click', () => {
  go.disabled = true;
  state.textContent = 'Writing the files';
  timer = setTimeout(() => idle(''), 120000);
  const include = [...kinds.querySelectorAll('input:checked')].map((box) => box.value);
  const too = !hidden.hidden && hidden.querySelector('input').checked;
  const lengths = window.medvlViewer ? window.medvlViewer.lengths() : null;
  sent = include.includes('csv') ? lengths : null;
  trigger('export', { include, hidden: too, lengths });
});
save.addEventListener('click', () => {
  save.disabled = true;
  caseState.textContent = 'Saving the case';
  saving = setTimeout(() => drawCase(null), 120000);
  const viewer = window.medvlViewer;
  sent = viewer ? viewer.lengths() : null;
  trigger('export', { op: 'save', scan: $('.ep-scan').checked, view: viewer ? viewer.view() : null, lengths: sent });
});
$('.ep-open').addEventListener('click', () => {
  const tab = [...document.querySelectorAll('#tabs [role=tab]')].find((one) => one.textContent.trim() === 'Scan');
  if (tab) tab.click();
  const box = document.querySelector('#upload input[type=file]');
  if (box) box.click();
});
watch('value', render);
render();
