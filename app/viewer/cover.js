// Words over the planes: that a scan is loading, or what went wrong with a way to try again.

/** The cover and the thin bar of loading. */
class Cover {
  /** @param {() => void} retry what the button does */
  constructor(retry) {
    this.root = make('div', 'mv-cover');
    this.root.setAttribute('role', 'status');
    this.text = make('p', '');
    this.button = make('button', 'mv-retry', 'Try again');
    this.button.type = 'button';
    this.button.addEventListener('click', retry);
    this.root.append(this.text, this.button);
    this.progress = make('div', 'mv-progress');
  }

  /** @param {string} text none uncovers @param {boolean} retry offer to try again @param {boolean} over leave the picture in sight */
  say(text, retry, over) {
    setText(this.text, text);
    this.root.hidden = !text;
    this.button.hidden = !retry;
    this.root.classList.toggle('mv-over', over);
  }

  /** @param {number} part 0..1; the bar goes at 1 */
  show(part) {
    this.progress.style.transform = 'scaleX(' + part + ')';
    this.progress.hidden = part >= 1;
  }
}
