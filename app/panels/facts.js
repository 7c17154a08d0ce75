// What is known of the open scan; its title may be a file's name, so textContent only.
const $ = (selector) => element.querySelector(selector);
const make = (tag, text) => {
  const node = document.createElement(tag);
  node.textContent = text;
  return node;
};
const part = (name, text) => {
  const node = make('span', text);
  node.className = name;
  return node;
};
let facts = {};
// While an event streams, Gradio may turn the value in place into an update that holds nothing: keep a copy of the last one.
const given = () => (props.value && props.value.rows ? JSON.parse(JSON.stringify(props.value)) : null);
// One line of the chooser: a radio button, what the scan is called, and what tells it from the others.
function choice(item) {
  const label = document.createElement('label'), radio = document.createElement('input');
  label.className = 'fp-choice';
  label.title = item.why;
  radio.type = 'radio';
  radio.name = 'medvl-series';
  radio.value = item.id;
  radio.checked = item.opened;
  radio.disabled = Boolean(item.problem);
  const words = document.createElement('span');
  words.className = 'fp-words';
  words.append(part('fp-name', [item.name, item.description].filter(Boolean).join(': ')));
  if (item.phase) words.append(part('fp-phase', item.phase));
  words.append(part('fp-facts', item.problem || item.facts));
  label.append(radio, words);
  if (item.opened || item.problem) return label;
  const beside = make('button', 'Beside'); // as the prior: a layer of the same study
  beside.type = 'button';
  beside.className = 'mp-btn fp-beside';
  beside.dataset.id = item.id;
  beside.title = 'Show it beside the open scan, as the prior';
  label.append(beside);
  return label;
}
function showSeries() {
  const series = facts.series || [];
  $('.fp-series').hidden = series.length < 2;
  $('.fp-series legend').textContent = `${series.length} scans in these files`;
  $('.fp-choices').replaceChildren(...series.map(choice));
}
element.addEventListener('click', (event) => {
  const beside = event.target.closest('.fp-beside');
  if (beside) {
    event.preventDefault(); // of the label, which would open it in the place of the scan
    trigger('prior', { op: 'prior', id: beside.dataset.id });
  } else if (event.target.closest('.fp-closeprior')) trigger('prior', { op: 'close' });
});
element.addEventListener('change', (event) => {
  if (event.target.name !== 'medvl-series') return;
  const id = event.target.value;
  showSeries(); // what is open stays marked until another scan is
  if (window.medvlViewer ? window.medvlViewer.mayGo(id) : true) trigger('choose', { id });
});
function rowsOf(rows) {
  return (rows || []).map(([label, text]) => {
    const row = document.createElement('div');
    row.append(make('dt', label), make('dd', text));
    return row;
  });
}
function render() {
  facts = given() || facts;
  showSeries();
  $('.fp-prior').hidden = !facts.prior;
  $('.fp-priortitle').textContent = facts.prior ? `Prior: ${facts.prior.title}` : '';
  $('.fp-priorabout').textContent = facts.prior ? facts.prior.about : '';
  $('.fp-warning').textContent = facts.warning || '';
  $('.fp-warning').hidden = !facts.warning;
  $('.fp-title').textContent = facts.title || '';
  $('.fp-about').textContent = facts.about || '';
  $('.fp-about').hidden = !facts.about;
  $('.fp-rows').replaceChildren(...rowsOf(facts.rows));
  $('.fp-headrows').replaceChildren(...rowsOf(facts.header));
  $('.fp-header').hidden = !(facts.header || []).length;
  $('.fp-notes').replaceChildren(...(facts.notes || []).map((note) => make('li', note)));
}
watch('value', render);
render();
