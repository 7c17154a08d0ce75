// The scan in 3-D: a maximum intensity projection on a WebGL2 canvas, from the voxels that the viewer has already.
// Nothing is asked of the server. NiiVue was weighed for it: tests/benchmarks/README.md. Directions are RAS: x to the patient's right, y to the front, z to the head.
const $ = (selector) => element.querySelector(selector);
const canvas = $('.vp-canvas'), none = $('.vp-none'), low = $('.vp-low'), turnButton = $('.vp-turn');
const LONGEST = 256; // voxels of the texture along its longest side
const LOWEST = -300, HIGHEST = 1500; // HU of the texture's 0 and 255
const WIDTH = 500; // HU from black to white
const MOST_PIXELS = 640; // along a side of the canvas: more shows no more of so many voxels
const VERTEX = `#version 300 es
in vec2 at; out vec2 uv;
void main() { uv = at; gl_Position = vec4(at, 0.0, 1.0); }`;
const FRAGMENT = `#version 300 es
precision highp float; precision highp sampler3D;
uniform sampler3D voxels; uniform vec3 right, up, eye, halfSize; uniform vec2 span, window; uniform float steps;
in vec2 uv; out vec4 color;
void main() {
  vec3 middle = right * uv.x * span.x + up * uv.y * span.y;
  vec3 one = mix(vec3(1e-5), -eye, step(1e-5, abs(eye)));
  vec3 a = (-halfSize - middle) / one, b = (halfSize - middle) / one;
  vec3 first = min(a, b), last = max(a, b);
  float near = max(max(first.x, first.y), first.z), far = min(min(last.x, last.y), last.z);
  if (near >= far) { color = vec4(0.078, 0.09, 0.11, 1.0); return; }
  float most = 0.0, length = far - near;
  for (float n = 0.5; n < steps; n += 1.0) {
    float t = n / steps;
    vec3 place = (middle + one * (near + t * length)) / halfSize * 0.5 + 0.5;
    most = max(most, texture(voxels, place).r * (1.0 - 0.25 * t)); // what lies behind is darker
  }
  float shade = clamp((most - window.x) / window.y, 0.0, 1.0);
  color = vec4(mix(vec3(0.078, 0.09, 0.11), vec3(1.0, 0.97, 0.92), shade), 1.0);
}`;
let gl = null, program = null, texture = null, built = null, fine = false, size = [1, 1, 1], steps = 1;
let azimuth = 0, elevation = 0.12, zoom = 1, turning = null, watching = null, asked = false;

function compile() {
  gl = canvas.getContext('webgl2', { antialias: false, preserveDrawingBuffer: true });
  if (!gl) return false;
  program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) { gl = null; return false; }
  gl.useProgram(program);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW);
  const at = gl.getAttribLocation(program, 'at');
  gl.enableVertexAttribArray(at);
  gl.vertexAttribPointer(at, 2, gl.FLOAT, false, 0, 0);
  return true;
}

/** The voxels with the brightest of each block, as 8 bits; blocks are about as long on each side in mm. */
function shrunk(volume) {
  const level = volume.fine.have === volume.fine.slabs ? volume.fine : volume.coarse;
  const { shape, depth, data } = level, [nx, ny, nz] = shape;
  const sizes = volume.shape.map((n, a) => n * volume.spacing[a]), mm = Math.max(...sizes) / LONGEST;
  const [sx, sy, sz] = shape.map((n, a) => Math.max(1, Math.round(mm / (sizes[a] / n))));
  const [mx, my, mz] = [[nx, sx], [ny, sy], [nz, sz]].map(([n, step]) => Math.ceil(n / step));
  const out = new Uint8Array(mx * my * mz), scale = 255 / (HIGHEST - LOWEST);
  for (let k = 0; k < nz; k++) {
    const slab = data[Math.floor(k / depth)], from = (k % depth) * nx * ny;
    for (let j = 0; j < ny; j++) {
      const row = (((k / sz) | 0) * my + ((j / sy) | 0)) * mx;
      for (let i = 0; i < nx; i++) {
        const value = (slab[from + j * nx + i] - LOWEST) * scale;
        const at = row + ((i / sx) | 0);
        if (value > out[at]) out[at] = value > 255 ? 255 : value;
      }
    }
  }
  return { out, dims: [mx, my, mz], level };
}

function build(volume) {
  const { out, dims, level } = shrunk(volume);
  gl.deleteTexture(texture); // of the scan before
  texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_3D, texture);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  gl.texImage3D(gl.TEXTURE_3D, 0, gl.R8, ...dims, 0, gl.RED, gl.UNSIGNED_BYTE, out);
  for (const [name, value] of [['MIN_FILTER', gl.LINEAR], ['MAG_FILTER', gl.LINEAR], ['WRAP_S', gl.CLAMP_TO_EDGE], ['WRAP_T', gl.CLAMP_TO_EDGE], ['WRAP_R', gl.CLAMP_TO_EDGE]]) {
    gl.texParameteri(gl.TEXTURE_3D, gl['TEXTURE_' + name], value);
  }
  size = volume.shape.map((n, a) => n * volume.spacing[a]);
  steps = Math.ceil(1.5 * Math.max(...dims));
  built = volume;
  fine = level === volume.fine;
}

const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
function camera() {
  const eye = [Math.sin(azimuth) * Math.cos(elevation), Math.cos(azimuth) * Math.cos(elevation), Math.sin(elevation)];
  const right = [-Math.cos(azimuth), Math.sin(azimuth), 0]; // seen from the front, the patient's left
  return { eye, right, up: cross(eye, right) };
}
function letter(direction) {
  const axis = [0, 1, 2].reduce((best, a) => (Math.abs(direction[a]) > Math.abs(direction[best]) ? a : best), 0);
  return ['LR', 'PA', 'IS'][axis][direction[axis] > 0 ? 1 : 0];
}

/** Whether what is drawn is another scan, or a coarse copy of one whose voxels have come since. */
const stale = (volume) => volume !== built || (!fine && volume.fine.have === volume.fine.slabs);

function draw() {
  asked = false;
  if ($('.vp-stage').hidden || !canvas.clientWidth) return;
  const volume = window.medvlViewer && window.medvlViewer.volume;
  const ready = volume && volume.coarse.have === volume.coarse.slabs;
  const why = !gl && !compile() ? 'This browser has no WebGL2: the surfaces and the slab MIP (K) work without it.'
    : !ready && built !== volume ? 'The scan is still loading.' : '';
  none.hidden = !why;
  none.textContent = why;
  if (why) return;
  if (stale(volume)) build(volume);
  const share = Math.min(window.devicePixelRatio || 1, MOST_PIXELS / Math.max(canvas.clientWidth, canvas.clientHeight));
  canvas.width = Math.round(canvas.clientWidth * share);
  canvas.height = Math.round(canvas.clientHeight * share);
  gl.viewport(0, 0, canvas.width, canvas.height);
  const { eye, right, up } = camera(), aspect = canvas.width / canvas.height;
  const wide = 0.54 * Math.max(size[0], size[1]), high = Math.hypot(size[2], 0.35 * size[1]) / 2;
  const reach = Math.max(high, wide / aspect) / zoom;
  const set = (kind, name, ...values) => gl['uniform' + kind](gl.getUniformLocation(program, name), ...values);
  set('3f', 'eye', ...eye);
  set('3f', 'right', ...right);
  set('3f', 'up', ...up);
  set('3f', 'halfSize', ...size.map((n) => n / 2));
  set('2f', 'span', reach * aspect, reach);
  set('2f', 'window', (Number(low.value) - LOWEST) / (HIGHEST - LOWEST), WIDTH / (HIGHEST - LOWEST));
  set('1f', 'steps', steps);
  gl.drawArrays(gl.TRIANGLES, 0, 3);
  $('.vp-left').textContent = letter(right.map((v) => -v));
  $('.vp-right').textContent = letter(right);
  $('.vp-top').textContent = letter(up);
  $('.vp-bottom').textContent = letter(up.map((v) => -v));
  $('.vp-value').textContent = `${low.value} HU`;
  canvas.dataset.drawn = `${azimuth.toFixed(2)} ${elevation.toFixed(2)} ${zoom.toFixed(2)} ${low.value}`;
}
function ask() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(draw);
}

function turn(dx, dy) {
  azimuth += dx;
  elevation = Math.min(1.5, Math.max(-1.5, elevation + dy));
  ask();
}
function rotate(on) {
  cancelAnimationFrame(turning);
  turning = null;
  turnButton.setAttribute('aria-pressed', String(on));
  if (!on) return;
  let last = performance.now();
  const step = (now) => {
    if (!element.isConnected || !canvas.clientWidth) { rotate(false); return; }
    turn(0.0006 * Math.min(100, now - last), 0);
    last = now;
    turning = requestAnimationFrame(step);
  };
  turning = requestAnimationFrame(step);
}
function show(kind) {
  const mip = kind === 'mip';
  element.querySelectorAll('.vp-kind').forEach((node) => node.setAttribute('aria-pressed', String(node.dataset.kind === kind)));
  element.querySelectorAll('.vp-only').forEach((node) => { node.hidden = !mip; });
  document.getElementById('tab-surface').classList.toggle('is-mip', mip);
  clearInterval(watching);
  rotate(false);
  if (mip) {
    watching = setInterval(() => { // another scan was opened, or its voxels have come
      const volume = window.medvlViewer && window.medvlViewer.volume;
      if (canvas.clientWidth && volume && stale(volume)) ask();
    }, 500);
    ask();
  }
}

element.addEventListener('click', (event) => {
  const kind = event.target.closest('.vp-kind');
  if (kind) show(kind.dataset.kind);
  else if (event.target.closest('.vp-turn')) rotate(turning === null);
});
low.addEventListener('input', ask);
let grip = null;
canvas.addEventListener('pointerdown', (event) => {
  grip = [event.clientX, event.clientY];
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener('pointermove', (event) => {
  if (!grip) return;
  turn((event.clientX - grip[0]) * -0.008, (event.clientY - grip[1]) * 0.008);
  grip = [event.clientX, event.clientY];
});
['pointerup', 'pointercancel'].forEach((kind) => canvas.addEventListener(kind, () => { grip = null; }));
canvas.addEventListener('wheel', (event) => {
  event.preventDefault();
  zoom = Math.min(6, Math.max(0.5, zoom * Math.exp(-event.deltaY * 0.001)));
  ask();
}, { passive: false });
// Keys turn it here; in the planes the same keys scroll.
element.addEventListener('keydown', (event) => {
  const by = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, 0.12], ArrowDown: [0, -0.12] }[event.key];
  if (event.target === low) { event.stopPropagation(); return; }
  if (event.target !== canvas) return;
  if (by) turn(...by);
  else if (event.key === '+' || event.key === '=') { zoom = Math.min(6, zoom * 1.15); ask(); }
  else if (event.key === '-') { zoom = Math.max(0.5, zoom / 1.15); ask(); }
  else return;
  event.preventDefault();
  event.stopPropagation();
});
new ResizeObserver(ask).observe(canvas);
