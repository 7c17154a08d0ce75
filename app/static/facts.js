// What is known of the open scan; its title may be a file's name, so textContent only.
const $ = (selector) => element.querySelector(selector);
const make = (tag, text) => {
  const node = document.createElement(tag);
  node.textContent = text;
  return node;
};
function render() {
  const facts = props.value || {};
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
