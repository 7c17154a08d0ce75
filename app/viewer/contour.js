// Outlines of a binary section.

/**
 * Closed outlines round the set cells of a grid, holes included, corners cut at edge midpoints (so a slanted border is
 * drawn slanted). Cells that touch only by a corner count as apart. Fill them with the even-odd rule.
 * @param {Uint8Array} grid w x h cells, row by row
 * @param {number} w @param {number} h
 * @returns {Float32Array[]} x, y, x, y ... in cell units, cell (x, y) spanning x..x+1, y..y+1
 */
function traceOutlines(grid, w, h) {
  const DX = [1, 0, -1, 0];
  const DY = [0, 1, 0, -1];
  const seen = new Uint8Array(w * h);
  const set = (x, y) => x >= 0 && y >= 0 && x < w && y < h && grid[y * w + x] !== 0;
  const loops = [];
  for (let y0 = 0; y0 < h; y0++) {
    for (let x0 = 0; x0 < w; x0++) {
      const cell = y0 * w + x0;
      if (!grid[cell] || seen[cell] || set(x0, y0 - 1)) continue;
      // Walk the border with the inside on the right hand, from the top edge of this cell heading right.
      const points = [];
      let [x, y, dir, last] = [x0, y0, 0, -1];
      do {
        if (dir === 0) seen[y * w + x] = 1;
        if (last !== dir) {
          if (last >= 0) points.push(x - DX[last] / 2, y - DY[last] / 2);
          points.push(x + DX[dir] / 2, y + DY[dir] / 2);
        }
        last = dir;
        x += DX[dir];
        y += DY[dir];
        // The two cells ahead: on the right hand (inside if the border goes on) and on the left.
        const rightAhead = set(x + (dir === 0 || dir === 3 ? 0 : -1), y + (dir < 2 ? 0 : -1));
        if (!rightAhead) dir = (dir + 1) & 3;
        else if (set(x + (dir < 2 ? 0 : -1), y + (dir === 1 || dir === 2 ? 0 : -1))) dir = (dir + 3) & 3;
      } while (x !== x0 || y !== y0 || dir !== 0);
      if (last !== 0) points.push(x - DX[last] / 2, y - DY[last] / 2);
      loops.push(Float32Array.from(points));
    }
  }
  return loops;
}
