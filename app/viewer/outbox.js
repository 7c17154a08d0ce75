// What a person asked of the server by clicks, boxes and buttons, kept until the server says that it has it. A page that
// is loaded again, as Gradio does when the network is back, asks again for what the server did not hear of.

const NO_NETWORK = 'No connection: kept, and sent when it is back.';

/** @returns {string} id of the tab of the page that is open */
const openTab = () => document.querySelector('#tabs [role=tab][aria-selected=true]')?.id ?? '';

/** Messages that the server has not taken in yet. */
class Outbox {
  /** @param {object} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.clear();
  }

  /** Forgets them: another scan is shown. */
  clear() {
    this.items = [];
    this.left = []; // those of the page before it was loaded again; they go one after the other
    this.asked = null; // key of the first of them once it was sent
  }

  /** Sends a message, and keeps it. @param {string} name of the event @param {object} data */
  send(name, data) {
    const item = { name, data: { ...data, key: Math.random().toString(36).slice(2) } };
    this.items.push(item);
    this.viewer.tabThen = openTab();
    if (!navigator.onLine) this.viewer.hint(NO_NETWORK);
    this._send(item);
  }

  /** What was asked of the model is not wanted any more. */
  stop() {
    const stays = ({ name }) => name === 'action';
    [this.items, this.left] = [this.items.filter(stays), this.left.filter(stays)];
  }

  /** The server has these. @param {string[]} taken keys */
  settle(taken) {
    const waits = ({ data }) => !taken.includes(data.key);
    [this.items, this.left] = [this.items.filter(waits), this.left.filter(waits)];
    const [first] = this.left;
    if (!first || first.data.key === this.asked) return;
    this.asked = first.data.key;
    this._send(first);
  }

  /** For a page that is loaded again, in order. @returns {object[]} {name, data} */
  get kept() {
    return [...this.left, ...this.items];
  }

  _send({ name, data }) {
    const { viewer } = this;
    if (name === 'prompt') {
      const shown = data.points ? data.points.map((ijk) => ({ kind: 'point', ijk, positive: data.positive })) : [data];
      viewer.pending.push(...shown.map((one) => ({ ...one, after: viewer.store.revision })));
      viewer.touch(false);
    }
    trigger(name, data);
  }
}
