// Cine: slices of one plane one after the other, out of the volume that the browser has. And a plane as a PNG.

const CINE_FPS = [2, 5, 8, 12, 20, 30];

/** Plays the slices of the plane that keys act on. */
class Cine {
  /** @param {object} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.fps = 12;
    this.view = null;
    this.next = 0;
  }

  /** @returns {boolean} whether it plays */
  get playing() {
    return this.view !== null;
  }

  /** Plays a plane, or pauses. @param {PlaneView} [view] the one that keys act on, if not given */
  toggle(view = this.viewer.activeView) {
    const start = !this.playing || (view !== this.view && view.twin !== this.view);
    if (this.view) this.view.root.classList.remove('mv-playing');
    this.view = start && this.viewer.volume ? view.twin || view : null;
    if (this.view) {
      this.view.root.classList.add('mv-playing');
      this.next = performance.now();
      requestAnimationFrame((now) => this._step(now));
    }
    this.viewer.refresh();
  }

  /** Goes on where it is time to; at the end it begins again. @param {number} now ms */
  _step(now) {
    const { viewer, view } = this;
    if (!view) return;
    if (!viewer.volume || !viewer.root.isConnected) return this.toggle(view);
    if (now >= this.next) {
      const { axis } = view.plane;
      const to = viewer.ijk.slice();
      to[axis] = (to[axis] + 1) % viewer.volume.shape[axis];
      viewer.moveTo(to);
      this.next = Math.max(this.next + 1000 / this.fps, now); // what was missed is not made up for
    }
    requestAnimationFrame((later) => this._step(later));
  }
}

/**
 * The bar of the cine, while it plays.
 * @param {object} viewer
 * @returns {{root: HTMLElement, refresh: () => void}}
 */
function buildCineBar(viewer) {
  const root = make('div', 'mv-options mv-cine');
  root.setAttribute('role', 'group');
  root.setAttribute('aria-label', 'Cine');
  const pause = make('button', 'mv-button', 'Pause');
  pause.type = 'button';
  pause.title = 'Pause (J)';
  pause.addEventListener('click', () => viewer.cine.toggle(viewer.cine.view));
  const fps = make('select', 'mv-presets');
  fps.setAttribute('aria-label', 'Slices a second');
  for (const n of CINE_FPS) {
    const option = make('option', '', n + ' slices a second');
    option.value = String(n);
    fps.append(option);
  }
  fps.addEventListener('change', () => { viewer.cine.fps = Number(fps.value); });
  root.append(pause, fps);
  return {
    root,
    refresh() {
      root.hidden = !viewer.cine.playing;
      fps.value = String(viewer.cine.fps);
    },
  };
}

/**
 * A plane as it is seen: picture, masks, prompts and lengths, with its letters, scale, slice and window.
 * @param {PlaneView} view
 * @returns {HTMLCanvasElement}
 */
function pictureOf(view) {
  const { viewer, ratio } = view;
  const [w, h] = view.size;
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [view.picture.width, view.picture.height];
  const ctx = canvas.getContext('2d');
  ctx.drawImage(view.picture, 0, 0);
  ctx.drawImage(view.marks, 0, 0);
  ctx.scale(ratio, ratio);
  const text = (words, x, y, align, color = '#d8dee5') => {
    ctx.textAlign = align;
    ctx.font = '13px system-ui, sans-serif';
    ctx.lineWidth = 3;
    ctx.strokeStyle = '#000';
    ctx.strokeText(words, x, y);
    ctx.fillStyle = color;
    ctx.fillText(words, x, y);
  };
  const [left, right, top, bottom] = view.plane.letters;
  text(left, 10, h / 2 + 5, 'left', '#ffd166');
  text(right, w - 10, h / 2 + 5, 'right', '#ffd166');
  text(top, w / 2, 18, 'center', '#ffd166');
  text(bottom, w / 2, h - 26, 'center', '#ffd166');
  const which = view.shown === viewer ? '' : '  prior';
  text(view.plane.title + '  ' + view.counter.textContent + which, 10, 18, 'left');
  text('L ' + viewer.window.level + '  W ' + viewer.window.width, w - 10, 18, 'right');
  text('Research use only, not for diagnosis', w - 10, h - 8, 'right');
  const bar = view.bar.lastChild.offsetWidth;
  ctx.fillStyle = '#d8dee5';
  ctx.fillRect(10, h - 10, bar, 2);
  for (const x of [10, 10 + bar - 1.5]) ctx.fillRect(x, h - 14, 1.5, 6);
  text(view.barText.textContent, 10, h - 18, 'left');
  return canvas;
}

/** Saves a plane as a PNG; its name says plane and slice, and nothing of the scan. @param {PlaneView} view */
function savePicture(view) {
  if (!view.viewer.volume) return;
  view.draw();
  pictureOf(view).toBlob((blob) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = view.plane.name + '-' + (view.viewer.ijk[view.plane.axis] + 1) + '.png';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}
