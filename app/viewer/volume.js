// The CT in the browser: fetching, unpacking, and cutting slices out of it.
// Full resolution is kept as slabs of axial slices, (k, j, i) with i contiguous, so that axial and coronal rows are
// read in order; a coarse copy (every second voxel) stands in for slabs that are not there.

const SLABS_IN_FLIGHT = 2;
const TRIES = 4;

/** An answer of the server that trying again will not mend. */
class Gone extends Error {}

/**
 * Addresses at which a route may live: under the page's own root (proxies, --root-path), else at the host's.
 * @param {string} base "/medvl/<token>"
 * @returns {string[]}
 */
function routeCandidates(base) {
  const root = (window.gradio_config && window.gradio_config.root) || document.baseURI;
  const path = new URL(root, document.baseURI).pathname.replace(/\/+$/, '');
  const here = location.origin + path + base;
  return path ? [here, location.origin + base] : [here];
}

/**
 * GET with a few tries.
 * @param {string} url @param {AbortSignal} signal
 * @returns {Promise<Response>}
 */
async function get(url, signal) {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await fetch(url, { signal, cache: 'no-store', credentials: 'same-origin' });
      if (response.ok) return response;
      if (response.status === 404 || response.status === 403) throw new Gone('This session has ended. Reload the page.');
      throw new Error('The server answered with an error (' + response.status + ').');
    } catch (error) {
      if (signal.aborted || error instanceof Gone) throw error;
      if (attempt >= TRIES) {
        throw error instanceof TypeError ? new Error('The connection to the server was lost.') : error;
      }
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** attempt));
    }
  }
}

/**
 * Inverse of wire.encode_slab: low bytes, then high bytes, of zig-zag coded differences.
 * @param {ArrayBuffer} buffer
 * @returns {Int16Array}
 */
function decodeSlab(buffer) {
  const n = buffer.byteLength >> 1;
  const low = new Uint8Array(buffer, 0, n);
  const high = new Uint8Array(buffer, n, n);
  const out = new Int16Array(n);
  let hu = 0;
  for (let t = 0; t < n; t++) {
    const z = low[t] | (high[t] << 8);
    hu = (hu + ((z >>> 1) ^ -(z & 1))) | 0;
    out[t] = hu;
  }
  return out;
}

/** One CT, full resolution and coarse. */
class Volume {
  /** @param {object} info what the info route says @param {string} url address of its routes */
  constructor(info, url) {
    this.info = info;
    this.url = url;
    this.shape = info.shape;
    this.spacing = info.spacing_mm;
    const [fine, coarse] = info.levels;
    this.fine = { ...fine, data: new Array(fine.slabs).fill(null), level: 0, have: 0 };
    this.coarse = { ...coarse, data: new Array(coarse.slabs).fill(null), level: 1, have: 0 };
    const slabBytes = 2 * fine.shape[0] * fine.shape[1] * fine.depth;
    const budget = info.browser_bytes * (navigator.deviceMemory && navigator.deviceMemory <= 4 ? 0.5 : 1);
    this.maxSlabs = Math.max(3, Math.floor(budget / slabBytes));
    this.whole = fine.slabs <= this.maxSlabs;
    this.bytes = 0;
    this.abort = new AbortController();
    this.centre = Math.floor(this.shape[2] / 2);
    this.inFlight = new Set();
    this.failed = null;
  }

  /** Stops all fetching and lets go of the voxels. */
  close() {
    this.abort.abort();
    this.fine.data = [];
    this.coarse.data = [];
  }

  /** @returns {boolean} true when everything that fits the budget is here at full resolution */
  get complete() {
    return this.whole ? this.fine.have === this.fine.slabs : this.inFlight.size === 0 && this._next() === null;
  }

  /** @returns {number} 0..1, share of what is wanted that has come */
  get progress() {
    const want = this.coarse.slabs + Math.min(this.fine.slabs, this.maxSlabs);
    return (this.coarse.have + Math.min(this.fine.have, this.maxSlabs)) / want;
  }

  /** @returns {number|null} 0 full, 1 coarse, null nothing yet: what the slice at the crosshair is drawn from */
  get level() {
    if (this.fine.data[Math.floor(this.centre / this.fine.depth)]) return 0;
    return this.coarse.data[Math.floor((this.centre >> 1) / this.coarse.depth)] ? 1 : null;
  }

  /** Tells the loader which axial slice is looked at. @param {number} k */
  lookAt(k) {
    this.centre = k;
    if (!this.whole || this.inFlight.size < SLABS_IN_FLIGHT) this.pump();
  }

  /** Starts again after a failure. */
  retry() {
    this.failed = null;
    this.pump();
  }

  /** The slab to fetch next: coarse before fine, nearest to the crosshair first. @returns {[object, number]|null} */
  _next() {
    for (const level of [this.coarse, this.fine]) {
      const centre = Math.min(level.slabs - 1, Math.floor((this.centre >> level.level) / level.depth));
      const reach = level.level === 1 || this.whole ? level.slabs : this.maxSlabs >> 1;
      for (let step = 0; step < 2 * reach; step++) {
        const slab = centre + (step & 1 ? (step + 1) >> 1 : -(step >> 1));
        if (slab < 0 || slab >= level.slabs) continue;
        if (!level.data[slab] && !this.inFlight.has(level.level + ':' + slab)) return [level, slab];
      }
    }
    return null;
  }

  /** Keeps SLABS_IN_FLIGHT requests going until all that is wanted has come. */
  pump() {
    while (this.inFlight.size < SLABS_IN_FLIGHT && !this.failed && !this.abort.signal.aborted) {
      const next = this._next();
      if (!next) return;
      this._fetch(next[0], next[1]);
    }
  }

  /** @param {object} level @param {number} slab */
  async _fetch(level, slab) {
    const key = level.level + ':' + slab;
    this.inFlight.add(key);
    try {
      const response = await get(this.url + '/volume?level=' + level.level + '&slab=' + slab, this.abort.signal);
      const data = decodeSlab(await response.arrayBuffer());
      const depth = Math.min(level.depth, level.shape[2] - slab * level.depth);
      if (data.length !== level.shape[0] * level.shape[1] * depth) throw new Error('A part of the scan came incomplete.');
      if (this.abort.signal.aborted) return;
      level.data[slab] = data;
      level.have++;
      this.bytes += data.byteLength;
      if (level === this.fine) this._evict();
      this.inFlight.delete(key);
      this.onslab(level.level, slab * level.depth, slab * level.depth + depth);
    } catch (error) {
      this.inFlight.delete(key);
      if (this.abort.signal.aborted) return;
      this.failed = error;
      this.onerror(error);
    }
    this.pump();
  }

  /** Drops the full-resolution slabs farthest from the crosshair when there are too many. */
  _evict() {
    while (this.fine.have > this.maxSlabs) {
      const centre = Math.floor(this.centre / this.fine.depth);
      let worst = -1;
      for (let s = 0; s < this.fine.slabs; s++) {
        if (this.fine.data[s] && (worst < 0 || Math.abs(s - centre) > Math.abs(worst - centre))) worst = s;
      }
      this.bytes -= this.fine.data[worst].byteLength;
      this.fine.data[worst] = null;
      this.fine.have--;
    }
  }

  /** Called when a slab has come; set by the viewer. @param {number} level @param {number} k0 @param {number} k1 */
  onslab(level, k0, k1) {}

  /** Called when loading gave up; set by the viewer. @param {Error} error */
  onerror(error) {}

  /**
   * HU of a voxel.
   * @param {number[]} ijk
   * @returns {{hu: number, exact: boolean}|null} exact is false for a stand-in of the coarse level
   */
  at([i, j, k]) {
    const [nx, ny] = this.shape;
    const slab = this.fine.data[Math.floor(k / this.fine.depth)];
    if (slab) return { hu: slab[i + nx * (j + ny * (k % this.fine.depth))], exact: true };
    const row = this._coarseRow(j, k);
    return row ? { hu: row.data[row.at + (i >> 1)], exact: false } : null;
  }

  /** Where the row for (j, k) begins, in full or coarse. @param {number} j @param {number} k @returns {{data: Int16Array, at: number, shift: number}|null} */
  row(j, k) {
    const [nx, ny] = this.shape;
    const slab = this.fine.data[Math.floor(k / this.fine.depth)];
    if (slab) return { data: slab, at: nx * (j + ny * (k % this.fine.depth)), shift: 0 };
    const row = this._coarseRow(j, k);
    return row && { ...row, shift: 1 };
  }

  /** Where the coarse row for (j, k) begins. @param {number} j @param {number} k @returns {{data: Int16Array, at: number}|null} */
  _coarseRow(j, k) {
    const level = this.coarse;
    const data = level.data[Math.floor((k >> 1) / level.depth)];
    return data ? { data, at: level.shape[0] * ((j >> 1) + level.shape[1] * ((k >> 1) % level.depth)) } : null;
  }

  /**
   * A slice as pixels, flipped to the screen's directions.
   * @param {number} axis normal axis @param {number} index slice
   * @param {Uint32Array} table window table @param {Uint32Array} out width x height pixels
   */
  slice(axis, index, table, out) {
    const [nx, ny, nz] = this.shape;
    if (axis === 2) {
      for (let j = ny - 1, at = 0; j >= 0; j--, at += nx) this._rowI(j, index, table, out, at);
    } else if (axis === 1) {
      for (let k = nz - 1, at = 0; k >= 0; k--, at += nx) this._rowI(index, k, table, out, at);
    } else {
      for (let k = nz - 1, at = 0; k >= 0; k--, at += ny) this._rowJ(index, k, table, out, at);
    }
  }

  /** Row along i at (j, k), reversed. */
  _rowI(j, k, table, out, at) {
    const [nx, ny] = this.shape;
    const slab = this.fine.data[(k / this.fine.depth) | 0];
    if (slab) {
      let from = nx * (j + ny * (k % this.fine.depth)) + nx - 1;
      for (const end = at + nx; at < end; at++, from--) out[at] = table[slab[from] & 0xffff];
      return;
    }
    const row = this._coarseRow(j, k);
    if (!row) return void out.fill(0xff000000, at, at + nx);
    for (let i = nx - 1; i >= 0; i--, at++) out[at] = table[row.data[row.at + (i >> 1)] & 0xffff];
  }

  /** Row along j at (i, k), reversed. */
  _rowJ(i, k, table, out, at) {
    const [nx, ny] = this.shape;
    const slab = this.fine.data[(k / this.fine.depth) | 0];
    if (slab) {
      let from = i + nx * (ny * (k % this.fine.depth) + ny - 1);
      for (const end = at + ny; at < end; at++, from -= nx) out[at] = table[slab[from] & 0xffff];
      return;
    }
    const row = this._coarseRow(0, k);
    if (!row) return void out.fill(0xff000000, at, at + ny);
    const width = this.coarse.shape[0];
    for (let j = ny - 1; j >= 0; j--, at++) out[at] = table[row.data[row.at + width * (j >> 1) + (i >> 1)] & 0xffff];
  }
}
