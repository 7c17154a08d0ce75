// The conversation. Words of people and of models reach the page only through textContent.
const $ = (selector) => element.querySelector(selector);
const log = $('.cp-log'), turns = $('.cp-turns'), start = $('.cp-start'), examples = $('.cp-examples');
const form = $('.cp-form'), input = $('.cp-input'), sendButton = $('.cp-send'), stopButton = $('.cp-stop');
const saveLink = $('.cp-save'), offerBar = $('.cp-offers');
const clearButton = $('.cp-clear'), reportButton = $('.cp-report');
const SOURCES = {
  measured: ['measured', 'Measured on a mask of this scan'],
  scan: ['from the scan', "From the file's header and geometry"],
  knowledge: ['general knowledge', 'General knowledge; says nothing of this scan'],
  model: ["the model's reading", 'A network\u2019s own reading of the image'],
};
const CITED = /^(Source:|Rule of this program)/; // set small, as a footnote
const SPOT = /^\d+: /; // one of several spots that were seen: a line of its own
const READING = 'What the vision-language model reads';
const MEASURED = 'Measured on the same scan';
const WAIT_MS = 8000; // without an answer after this, the message may be sent again
let model = { scan: '', revision: 0, turns: [], masks: {}, examples: [], busy: false };
// While an event streams, Gradio may turn the value in place into an update that holds nothing: keep a copy of the last one.
function given() {
  if (!props.value || !props.value.turns) return null;
  const value = JSON.parse(JSON.stringify(props.value));
  value.turns = value.turns.map((turn) => JSON.parse(turn)); // packed on the way, see updates.py
  return value;
}
let waiting = null, drawnExamples = '', stopping = false;

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}
const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const seconds = (s) => (s < 0.05 ? '' : `, ${s.toFixed(1)} s`);

// ---- one turn: its nodes are made once and then only filled

function makeTurn(id) {
  const node = make('article', 'cp-turn');
  node.dataset.id = id;
  node.question = make('p', 'cp-question');
  node.steps = make('details', 'cp-steps');
  node.summary = make('summary', 'cp-summary');
  node.stepList = make('ul', 'cp-steplist');
  node.steps.append(node.summary, node.stepList);
  node.answer = make('p', 'cp-answer');
  node.table = make('table', 'cp-table');
  node.chips = make('div', 'cp-chips');
  node.note = make('p', 'cp-note');
  node.lead = make('p', 'cp-before', 'Impression of the report:');
  node.report = make('button', 'cp-open', 'Open the whole report');
  node.report.type = 'button';
  node.report.title = 'Change its words, save it or print it';
  node.retry = make('button', 'cp-retry', 'Retry');
  node.retry.type = 'button';
  node.retry.title = 'Ask the same again';
  node.append(node.question, node.steps, node.lead, node.answer, node.table, node.chips, node.report, node.note, node.retry);
  return node;
}

function stepText(step) {
  if (step.seconds == null) return step.label + (step.share > 0 ? `, ${Math.round(100 * step.share)} %` : '');
  return step.label + seconds(step.seconds) + (step.outcome ? `: ${step.outcome}` : '');
}

function fillSteps(node, turn) {
  const steps = turn.steps, running = steps.find((s) => s.seconds == null);
  node.steps.hidden = steps.length === 0 && turn.state !== 'running';
  node.steps.classList.toggle('is-running', turn.state === 'running');
  node.steps.classList.toggle('is-single', steps.length < 2);
  let summary = 'Working';
  if (running) summary = stepText(running);
  else if (steps.length === 1) summary = stepText(steps[0]);
  else if (steps.length) summary = `${steps.length} steps${seconds(steps.reduce((sum, s) => sum + (s.seconds || 0), 0))}`;
  setText(node.summary, summary);
  node.summary.style.setProperty('--share', running ? running.share : 0);
  node.steps.classList.toggle('is-waiting', turn.state === 'running' && !(running && running.share > 0));
  while (node.stepList.children.length > steps.length) node.stepList.lastChild.remove();
  steps.forEach((step, at) => {
    const row = node.stepList.children[at] || node.stepList.appendChild(make('li', 'cp-step'));
    row.classList.toggle('is-running', step.seconds == null);
    setText(row, stepText(step));
  });
}

// A reading stands apart, for nothing in it was measured; beside it what was measured of the same thing, and under both
// what the program says of the two.
function standApart(spans, sentences) {
  const first = sentences.findIndex((sentence) => sentence.source === 'model');
  if (first < 0) return;
  let last = first, end = sentences.length;
  while (last < sentences.length && sentences[last].source === 'model') last += 1;
  while (end > last && sentences[end - 1].source === 'program') end -= 1;
  const position = (at) => {
    const found = spans.findIndex((span) => span.dataset && span.dataset.at === String(at));
    return found < 0 ? spans.length : found;
  };
  const block = (name, title, from, to) => {
    const node = make('span', name);
    if (title) node.append(make('span', 'cp-readtitle', title));
    node.append(...spans.slice(position(from), position(to)));
    return node;
  };
  const reading = block('cp-reading', first === 1 ? '' : READING, first, last); // else the line above says what it is
  reading.title = SOURCES.model[1];
  const sides = make('span', 'cp-sides'), rest = spans.slice(position(end));
  sides.append(reading);
  if (end > last) sides.append(block('cp-measured', MEASURED, last, end));
  spans.splice(position(first), spans.length, sides);
  if (rest.length) {
    const differs = make('span', 'cp-differs');
    differs.append(...rest);
    spans.push(differs);
  }
}

function fillAnswer(node, turn) {
  const spans = [];
  turn.sentences.forEach((sentence, at) => {
    const span = node.answer.querySelector(`.cp-sentence[data-at="${at}"]`) || make('span', 'cp-sentence');
    span.dataset.at = at;
    setText(span, sentence.text);
    const id = sentence.masks.find((m) => model.masks[m] && !model.masks[m].gone);
    span.classList.toggle('is-linked', Boolean(id));
    span.classList.toggle('is-spot', SPOT.test(sentence.text));
    span.classList.toggle('cp-cite', sentence.source === 'knowledge' && CITED.test(sentence.text));
    if (id) {
      span.dataset.mask = id;
      span.style.setProperty('--mask', model.masks[id].color);
      span.tabIndex = 0;
      span.setAttribute('role', 'button');
      span.title = `Show ${model.masks[id].name} in the viewer`;
    } else {
      delete span.dataset.mask;
      ['tabindex', 'role', 'title'].forEach((name) => span.removeAttribute(name));
    }
    if (at) spans.push(document.createTextNode(' '));
    spans.push(span);
    // One mark for each run of sentences of the same source.
    const next = turn.sentences[at + 1], source = SOURCES[sentence.source];
    if (source && !span.classList.contains('cp-cite') && (next ? next.source !== sentence.source : turn.state !== 'running')) {
      const mark = make('span', 'cp-source', source[0]);
      mark.title = source[1];
      mark.dataset.source = sentence.source;
      spans.push(document.createTextNode(' '), mark);
    }
  });
  standApart(spans, turn.sentences);
  const focused = document.activeElement;
  node.answer.replaceChildren(...spans);
  if (focused && focused !== document.activeElement && node.answer.contains(focused)) focused.focus({ preventScroll: true });
  node.answer.hidden = spans.length === 0;
}

function fillTable(table, values) {
  table.hidden = !values;
  if (!values) return;
  const line = (cells, tag) => {
    const row = make('tr');
    row.append(...cells.map((text) => make(tag, '', text)));
    return row;
  };
  table.replaceChildren(line(values.head, 'th'), ...values.rows.map((row) => line(row, 'td')));
}

function fillChips(node, turn) {
  while (node.chips.children.length > turn.chips.length) node.chips.lastChild.remove();
  turn.chips.forEach((id, at) => {
    let chip = node.chips.children[at];
    if (!chip) {
      chip = node.chips.appendChild(make('button', 'cp-chip'));
      chip.type = 'button';
      chip.append(make('span', 'cp-dot'), make('span', 'cp-chipname'));
    }
    const mask = model.masks[id] || { name: '', color: '', gone: true };
    chip.dataset.mask = id;
    chip.disabled = mask.gone;
    chip.title = mask.gone ? 'This mask was removed' : `Centre the viewer on ${mask.name}`;
    chip.children[0].style.background = mask.color;
    setText(chip.children[1], mask.name);
  });
  node.chips.hidden = turn.chips.length === 0;
}

function fillTurn(node, turn, last) {
  const look = JSON.stringify([turn, turn.chips.concat(...turn.sentences.map((s) => s.masks)).map((id) => model.masks[id])]);
  if (node.look !== look) {
    node.look = look;
    node.dataset.state = turn.state;
    setText(node.question, turn.question);
    fillSteps(node, turn);
    fillAnswer(node, turn);
    fillTable(node.table, turn.table);
    fillChips(node, turn);
    node.report.hidden = !turn.report;
    node.lead.hidden = !turn.summary;
    setText(node.note, turn.note);
    node.note.hidden = !turn.note;
  }
  node.retry.hidden = !last || turn.state === 'running';
}

// ---- the whole panel

function fillExamples() {
  const shape = JSON.stringify(model.examples);
  if (shape === drawnExamples) return;
  drawnExamples = shape;
  examples.replaceChildren(...model.examples.map((text) => {
    const item = make('li'), button = make('button', 'cp-example', text);
    button.type = 'button';
    item.append(button);
    return item;
  }));
}

// An object that was stopped while it was followed: it goes on from there, by this button or by "go on".
function fillOffers() {
  const offers = model.busy ? [] : model.offers || [], shape = JSON.stringify(offers);
  if (offerBar.dataset.shape === shape) return;
  offerBar.dataset.shape = shape;
  offerBar.replaceChildren(...offers.map((offer) => {
    const line = make('div', 'cp-offer'), button = make('button', 'mp-btn mp-primary', 'Go on');
    button.type = 'button';
    button.dataset.follow = offer.id;
    line.append(make('span', '', offer.text), button);
    return line;
  }));
}

function arrived() {
  // A message leaves the input only when the server has it: nothing that was typed is lost.
  if (!waiting || !model.turns.some((turn) => turn.nonce === waiting.nonce)) return;
  clearTimeout(waiting.timer);
  if (!waiting.example) input.value = '';
  keepDraft();
  waiting = null;
  grow();
}

function render() {
  const value = given() || model;
  if (value.scan === model.scan && value.revision < model.revision) return; // overtaken on the way
  const otherScan = value.scan !== model.scan;
  model = value;
  const grown = model.turns.length !== turns.children.length;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  if (otherScan) turns.replaceChildren();
  if (!model.busy) stopping = false;
  arrived();
  const nodes = new Map([...turns.children].map((node) => [node.dataset.id, node]));
  const wanted = model.turns.map((turn) => nodes.get(String(turn.id)) || makeTurn(turn.id));
  [...turns.children].forEach((node) => { if (!wanted.includes(node)) node.remove(); });
  wanted.forEach((node, at) => {
    if (turns.children[at] !== node) turns.insertBefore(node, turns.children[at] || null);
    fillTurn(node, model.turns[at], at === wanted.length - 1);
  });
  fillExamples();
  fillOffers();
  refresh();
  if (atEnd || grown) log.scrollTop = log.scrollHeight;
}

function refresh() {
  const held = Boolean(waiting);
  start.hidden = model.turns.length > 0;
  stopButton.hidden = !model.busy;
  sendButton.hidden = model.busy;
  stopButton.disabled = stopping;
  setText(stopButton, stopping ? 'Stopping' : 'Stop');
  sendButton.disabled = held || !model.scan || !input.value.trim();
  input.readOnly = held;
  saveLink.hidden = !model.file;
  if (model.file) saveLink.href = ((window.gradio_config && window.gradio_config.root) || '').replace(/\/$/, '') + model.file;
  clearButton.disabled = model.turns.length === 0;
  reportButton.disabled = !model.scan || model.busy;
}

function grow() {
  input.style.height = 'auto';
  input.style.height = `${Math.min(input.scrollHeight + 2, 132)}px`;
}

function send(text, example) {
  if (!text.trim() || model.busy || waiting || !model.scan) return;
  const nonce = Math.random().toString(36).slice(2);
  waiting = { nonce, example, timer: setTimeout(() => { waiting = null; refresh(); }, WAIT_MS) };
  refresh();
  // Where the crosshair is: "what is this?" asks for it.
  trigger('ask', { text, nonce, at: window.medvlViewer ? window.medvlViewer.state().ijk : null });
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  send(input.value, false);
});
// Keys typed here are letters, not tools of the viewer.
['keydown', 'keyup', 'keypress'].forEach((kind) => input.addEventListener(kind, (event) => event.stopPropagation()));
input.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send(input.value, false);
});
// A page that is loaded again, as Gradio does when the network is back, has what was typed before.
const DRAFT_KEY = 'medvl-draft';
const keepDraft = () => sessionStorage.setItem(DRAFT_KEY, input.value);
input.value = input.value || sessionStorage.getItem(DRAFT_KEY) || '';
input.addEventListener('input', () => { grow(); refresh(); keepDraft(); });
stopButton.addEventListener('click', () => {
  stopping = true;
  refresh();
  trigger('act', { name: 'stop' });
});
clearButton.addEventListener('click', () => trigger('act', { op: 'clear' }));
reportButton.addEventListener('click', () => trigger('act', { op: 'report' }));

element.addEventListener('click', (event) => {
  const linked = event.target.closest('[data-mask]');
  if (linked && !linked.disabled) {
    if (window.getSelection().isCollapsed) trigger('act', { op: 'jump', id: linked.dataset.mask });
  } else if (event.target.closest('[data-follow]')) {
    const button = event.target.closest('[data-follow]');
    button.disabled = true;
    trigger('act', { op: 'follow', id: button.dataset.follow });
  } else if (event.target.closest('.cp-retry')) {
    trigger('act', { op: 'retry' });
  } else if (event.target.closest('.cp-open')) {
    trigger('act', { op: 'open' });
  } else if (event.target.closest('.cp-example')) {
    send(event.target.closest('.cp-example').textContent, true);
  }
});
turns.addEventListener('keydown', (event) => {
  if (!event.target.classList.contains('cp-sentence') || (event.key !== 'Enter' && event.key !== ' ')) return;
  event.preventDefault();
  trigger('act', { op: 'jump', id: event.target.dataset.mask });
});

watch('value', render);
render();
