// What runs behind the page. Opened, it asks for the memory in use now; words reach the page as textContent only.
const $ = (selector) => element.querySelector(selector);
const details = $('.ap');
function make(tag, text) {
  const node = document.createElement(tag);
  node.textContent = text;
  return node;
}
function render() {
  const about = props.value || {};
  $('.ap-rows').replaceChildren(...(about.rows || []).map(([label, text]) => {
    const row = document.createElement('div');
    row.append(make('dt', label), make('dd', text));
    return row;
  }));
  $('.ap-notices').replaceChildren(...(about.notices || []).map((line) => make('li', line)));
}
details.addEventListener('toggle', () => { if (details.open) trigger('look', {}); });
document.addEventListener('click', (event) => { if (!element.contains(event.target)) details.open = false; });
element.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || !details.open) return;
  details.open = false;
  $('.ap-line').focus();
});
watch('value', render);
render();
