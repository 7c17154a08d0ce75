// Choice of files; the zip comes from the session's own route, not from a folder that others can read.
const $ = (selector) => element.querySelector(selector);
const kinds = $('.ep-kinds'), go = $('.ep-go'), state = $('.ep-state'), link = $('.ep-link');
const chosen = new Set(['labels', 'csv', 'dicom_seg']);
let drawn = '', fetched = '', timer = null, last = {};
// While an event streams, Gradio may turn the value in place into an update that holds nothing: keep a copy of the last one.
const given = () => (props.value && props.value.kinds ? JSON.parse(JSON.stringify(props.value)) : null);

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

function render() {
  const value = given() || last;
  last = value;
  drawKinds(value.kinds || []);
  const file = value.file;
  link.hidden = !file;
  if (!file) { fetched = ''; idle(''); return; }
  link.href = root() + file.href;
  link.download = file.name;
  link.textContent = `${file.name} (${file.size_mb < 0.1 ? '< 0.1' : file.size_mb.toFixed(1)} MB)`;
  if (file.href !== fetched) {
    fetched = file.href;
    idle(['Ready.', value.note, 'If the download did not start, use the link.'].filter(Boolean).join(' '));
    link.click();
  }
}

kinds.addEventListener('change', (event) => {
  if (event.target.checked) chosen.add(event.target.value); else chosen.delete(event.target.value);
});
go.addEventListener('click', () => {
  go.disabled = true;
  state.textContent = 'Writing the files';
  timer = setTimeout(() => idle(''), 120000);
  const include = [...kinds.querySelectorAll('input:checked')].map((box) => box.value);
  trigger('export', { include, lengths: window.medvlViewer ? window.medvlViewer.lengths() : null });
});
watch('value', render);
render();
