// What is known of the open scan; its title may be a file's name, so textContent only.
const $ = (selector) => element.querySelector(selector);
const make = (tag, text) => {
  const node = document.createElement(tag);
  node.textContent = text;
  return node;
};
let facts = {};
// While an event streams, Gradio may turn the value in place into an update that holds nothing: keep a copy of the last one.
const given = () => (props.value && props.value.rows ? JSON.parse(JSON.stringify(props.value)) : null);
function render() {
  facts = given() || facts;
  $('.fp-title').textContent = facts.title || '';
  $('.fp-about').textContent = facts.about || '';
  $('.fp-about').hidden = !facts.about;
  $('.fp-rows').replaceChildren(...(facts.rows || []).map(([label, text]) => {
    const row = document.createElement('div');
    row.append(make('dt', label), make('dd', text));
    return row;
  }));
  $('.fp-notes').replaceChildren(...(facts.notes || []).map((note) => make('li', note)));
}
watch('value', render);
render();
