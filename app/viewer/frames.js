// How long frames take: for the benchmark.

/** Frame times of the last few hundred painted frames. */
class FrameClock {
  constructor() {
    this.reset();
    this.channel = new MessageChannel();
    this.channel.port1.onmessage = () => this._end();
  }

  /** Forgets what was measured. */
  reset() {
    this.frames = [];
    this.draws = [];
    this.began = null;
  }

  /** Called when a frame's script begins; the frame ends when the browser has painted it. @param {number} drawMs */
  frame(start, drawMs) {
    this.draws.push(drawMs);
    this.began = start;
    this.channel.port2.postMessage(0);
  }

  _end() {
    if (this.began === null) return;
    this.frames.push(performance.now() - this.began);
    this.began = null;
    if (this.frames.length > 1200) this.frames.shift();
    if (this.draws.length > 1200) this.draws.shift();
  }

  /** @returns {object} p50, p95 and max in ms of whole frames (script and paint) and of drawing alone */
  summary() {
    const at = (list, q) => (list.length ? [...list].sort((a, b) => a - b)[Math.ceil(q * list.length) - 1] : null);
    return {
      count: this.frames.length,
      p50: at(this.frames, 0.5), p95: at(this.frames, 0.95), max: at(this.frames, 1),
      draw_p50: at(this.draws, 0.5), draw_p95: at(this.draws, 0.95), draw_max: at(this.draws, 1),
    };
  }
}
