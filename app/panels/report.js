// The report: every sentence leads to its mask, or is a text to change. Words reach the page only as text.
const $ = (selector) => element.querySelector(selector);
const write = $('.rp-write'), stop = $('.rp-stop'), edit = $('.rp-edit'), note = $('.rp-note'), progress = $('.rp-progress');
const sections = $('.rp-sections'), links = $('.rp-links'), steps = $('.rp-steps'), text = $('.rp-text');
const SOURCES = {
  measured: ['measured', 'Measured on a mask of this scan'],
  scan: ['from the scan', "From the file's header and geometry"],
  knowledge: ['general knowledge', 'General knowledge; says nothing of this scan'],
  model: ["the model's reading", 'A network\u2019s own reading of the image'],
};
const ASK_MS = 5000;
let model = { scan: '', revision: 0, state: 'none', steps: [], sections: [], masks: {}, files: [] };
// While an event streams, Gradio may turn the value in place into an update that holds nothing: keep a copy of the last one.
function given() {
  if (!props.value || !props.value.sections) return null;
  const value = JSON.parse(JSON.stringify(props.value));
  value.sections = value.sections.map((section) => JSON.parse(section)); // packed on the way, see updates.py
  value.table.rows = value.table.rows.map((row) => JSON.parse(row));
  return value;
}
let editing = false, stopping = false, sure = null, drawn = '';

const root = () => ((window.gradio_config && window.gradio_config.root) || '').replace(/\/$/, '');
function make(tag, name, words) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (words !== undefined) node.textContent = words;
  return node;
}
const setText = (node, words) => { if (node.textContent !== words) node.textContent = words; };
const seconds = (s) => (s < 0.05 ? '' : `, ${s.toFixed(1)} s`);

function stepText(step) {
  if (step.seconds == null) return step.label + (step.share > 0 ? `, ${Math.round(100 * step.share)} %` : '');
  return step.label + seconds(step.seconds) + (step.outcome ? `: ${step.outcome}` : '');
}

function fillProgress() {
  const running = model.steps.find((s) => s.seconds == null), busy = model.state === 'running';
  progress.hidden = !busy && model.steps.length === 0;
  progress.classList.toggle('is-running', busy);
  progress.classList.toggle('is-waiting', busy && !(running && running.share > 0));
  setText($('.rp-now'), running ? stepText(running) : busy ? 'Working' : '');
  $('.rp-now').hidden = !busy;
  $('.rp-track').hidden = !busy;
  $('.rp-done').style.width = `${100 * (running ? running.share : 0)}%`;
  const done = model.steps.filter((s) => s.seconds != null);
  steps.hidden = done.length === 0;
  setText(steps.children[0], `${done.length} step${done.length === 1 ? '' : 's'}${seconds(done.reduce((sum, s) => sum + s.seconds, 0))}`);
  const list = steps.children[1];
  while (list.children.length > done.length) list.lastChild.remove();
  done.forEach((step, at) => setText(list.children[at] || list.appendChild(make('li', 'cp-step')), stepText(step)));
}

const maskOf = (sentence) => sentence.masks.find((id) => model.masks[id] && !model.masks[id].gone);

function readRow(sentence, at, all) {
  const row = make('p', 'rp-sentence', sentence.text), id = maskOf(sentence);
  if (id) {
    row.classList.add('is-linked');
    row.dataset.mask = id;
    row.style.setProperty('--mask', model.masks[id].color);
    row.tabIndex = 0;
    row.setAttribute('role', 'button');
    row.title = `Show ${model.masks[id].name} in the viewer`;
  }
  // One mark for each run of sentences of the same source.
  const kind = (other) => other && (other.edited ? 'edited' : other.source);
  const source = SOURCES[sentence.source];
  if ((sentence.edited || source) && kind(all[at + 1]) !== kind(sentence)) {
    const mark = make('span', 'cp-source', sentence.edited ? 'edited' : source[0]);
    mark.title = sentence.edited ? 'Your words' : source[1];
    mark.dataset.source = sentence.edited ? 'edited' : sentence.source;
    row.append(' ', mark);
  }
  return row;
}

function grow(area) {
  area.style.height = 'auto';
  area.style.height = `${area.scrollHeight + 2}px`;
}

function editRow(sentence) {
  const area = make('textarea', 'rp-area');
  area.rows = 1;
  area.placeholder = 'Left out';
  area.maxLength = 2000;
  area.value = sentence.text;
  area.dataset.index = sentence.index;
  area.setAttribute('aria-label', `Sentence ${sentence.index + 1}`);
  return area;
}

function tablePart(given) {
  const part = make('section', 'rp-section'), table = make('table', 'rp-table');
  const line = (tag, first, cells) => {
    const row = make('tr');
    row.append(make(tag, '', first), ...cells.map((cell) => make(tag, '', cell)));
    return row;
  };
  table.append(line('th', 'Structure', given.columns), ...given.rows.map((row) => {
    const node = line('td', row.name, row.cells), mask = model.masks[row.mask];
    if (mask && !mask.gone) {
      node.className = 'rp-row is-linked';
      node.dataset.mask = row.mask;
      node.style.setProperty('--mask', mask.color);
      node.tabIndex = 0;
      node.title = `Show ${mask.name} in the viewer`;
    }
    if (row.limits) node.title = `At least: it ${row.limits}. ${node.title}`;
    return node;
  }));
  part.append(make('h3', 'rp-name', 'Measurements'), table);
  return part;
}

function fillText() {
  const shape = JSON.stringify([editing, model.scan, model.title, model.sections, model.table, model.masks]);
  if (shape === drawn) return;
  const typing = document.activeElement && document.activeElement.classList.contains('rp-area') && element.contains(document.activeElement);
  if (editing && typing) return; // not under the visitor's fingers; drawn when the text is left
  drawn = shape;
  setText($('.rp-title'), model.title || '');
  sections.replaceChildren(...model.sections.map((section) => {
    const part = make('section', section.level > 1 ? 'rp-section is-sub' : 'rp-section');
    part.classList.toggle('is-reading', section.sentences.some((sentence) => sentence.source === 'model'));
    const shown = editing ? section.sentences : section.sentences.filter((sentence) => sentence.text);
    part.append(make(section.level > 1 ? 'h4' : 'h3', 'rp-name', section.name), ...shown.map(editing ? editRow : readRow));
    return part;
  }));
  if (model.table && model.table.rows.length && !editing) sections.append(tablePart(model.table));
  sections.querySelectorAll('.rp-area').forEach(grow);
}

function fillFiles() {
  const ready = model.files.length > 0;
  $('.rp-files').hidden = !ready;
  $('.rp-notice').hidden = !ready;
  links.replaceChildren(...model.files.map((file) => {
    const link = make('a', 'rp-link', file.label);
    link.href = root() + file.href;
    link.download = file.name;
    return link;
  }));
  if (ready) $('.rp-view').href = root() + model.view;
}

function render() {
  const value = given() || model;
  if (value.scan === model.scan && value.revision < model.revision) return; // overtaken on the way
  if (value.scan !== model.scan) setEditing(false);
  model = value;
  const busy = model.state === 'running', there = model.sections.length > 0;
  if (!busy) stopping = false;
  write.hidden = busy;
  write.disabled = !model.scan;
  if (!sure) setText(write, there ? 'Write again' : 'Write report');
  stop.hidden = !busy;
  stop.disabled = stopping;
  setText(stop, stopping ? 'Stopping' : 'Stop');
  edit.hidden = !there;
  $('.rp-lead').hidden = there || busy;
  text.hidden = !there;
  setText(note, model.note || '');
  note.hidden = !model.note;
  note.classList.toggle('is-failed', model.state === 'failed');
  fillProgress();
  fillText();
  fillFiles();
}

function setEditing(on) {
  editing = on;
  edit.setAttribute('aria-pressed', String(on));
  setText(edit, on ? 'Done' : 'Edit text');
}

function save(area) {
  const sentence = model.sections.flatMap((s) => s.sentences).find((s) => s.index === Number(area.dataset.index));
  const words = area.value.trim();
  if (!sentence || words === sentence.text) return;
  sentence.text = words; // shown at once; the server's answer confirms it
  trigger('act', { op: 'edit', index: sentence.index, text: words });
}

edit.addEventListener('click', () => {
  if (document.activeElement && document.activeElement.classList.contains('rp-area')) document.activeElement.blur();
  setEditing(!editing);
  render();
});
write.addEventListener('click', () => {
  if (model.edited && !sure) { // one more click, since it would replace what the visitor wrote
    sure = setTimeout(() => { sure = null; render(); }, ASK_MS);
    setText(write, 'Replace your edits?');
    return;
  }
  clearTimeout(sure);
  sure = null;
  setEditing(false);
  trigger('act', { op: 'write' });
});
stop.addEventListener('click', () => {
  stopping = true;
  render();
  trigger('act', { name: 'stop' });
});
const jump = (node) => trigger('act', { op: 'jump', id: node.dataset.mask });
sections.addEventListener('click', (event) => {
  const linked = event.target.closest('[data-mask]');
  if (linked && window.getSelection().isCollapsed) jump(linked);
});
sections.addEventListener('keydown', (event) => {
  if (event.target.classList.contains('rp-area')) {
    if (event.key === 'Enter') { event.preventDefault(); event.target.blur(); }
  } else if (event.target.dataset.mask && (event.key === 'Enter' || event.key === ' ')) {
    event.preventDefault();
    jump(event.target);
  }
});
// Keys typed here are letters, not tools of the viewer.
['keydown', 'keyup', 'keypress'].forEach((kind) => text.addEventListener(kind, (event) => event.stopPropagation()));
sections.addEventListener('input', (event) => grow(event.target));
sections.addEventListener('change', (event) => save(event.target));

watch('value', render);
render();
