"""A voxel viewer in one HTML file: instanced cubes in WebGL2, nothing fetched, several volumes to switch between."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence

import numpy as np
from ninefold.errors import InputError
from ninefold.files import mark

from fastocc.geometry import GridSpec
from fastocc.pictures._colors import colors


def visible_voxels(semantics: np.ndarray, free: int) -> np.ndarray:
    """(n, 4) uint8 or uint16 x, y, z, label of the occupied voxels with at least one free neighbour."""
    filled = (semantics != free) & (semantics != 255)
    padded = np.pad(filled, 1)
    core = [slice(1, -1)] * 3
    buried = np.ones_like(filled)
    for axis in range(3):
        for step in (slice(0, -2), slice(2, None)):
            window = list(core)
            window[axis] = step
            buried &= padded[tuple(window)]
    index = np.argwhere(filled & ~buried)
    return np.column_stack([index, semantics[tuple(index.T)]]).astype(np.uint16)


def viewer_html(
    volumes: Mapping[str, np.ndarray], grid: GridSpec, classes: Sequence[str], free: int, title: str = "fastocc", *,
    timeline: bool = False,
) -> str:  # fmt: skip
    """The page.

    Args:
        volumes: (X, Y, Z) labels by the name on their button. grid: their grid. classes: names by label.
        free: label of empty space. title: heading. timeline: a slider over the volumes instead of buttons.
    """
    data, wide = {}, not timeline or max(grid.shape) > 255
    for name, volume in volumes.items():
        if volume.shape != grid.shape:
            raise InputError(f"volume {name!r}", got=f"shape {volume.shape}", expected=f"{grid.shape} = [x, y, z]")
        data[name] = base64.b64encode(
            visible_voxels(volume, free).astype("<u2" if wide else np.uint8).tobytes()
        ).decode()
    shown = [label for label in range(len(classes)) if label != free]
    about = {
        "volumes": data, "lower": grid.lower, "voxel": grid.voxel, "shape": grid.shape,
        "colors": colors(classes)[: len(classes)].tolist(), "classes": list(classes), "shown": shown,
        "wide": wide, "timeline": timeline,
    }  # fmt: skip
    text = json.dumps(about).replace("</", "<\\/")
    return _PAGE.replace("@TITLE@", html.escape(title)).replace("@MARK@", mark("fastocc")).replace("@DATA@", text)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="@MARK@"><title>@TITLE@</title><style>
html,body{margin:0;height:100%;overflow:hidden;font:14px/1.4 system-ui,sans-serif;color:#1c2128;background:#eef1f5}
canvas{width:100%;height:100%;display:block;cursor:grab}
#panel{position:absolute;top:10px;left:10px;background:#ffffffe6;padding:8px 12px;border-radius:6px;max-width:13rem}
#panel h1{font-size:15px;margin:0 0 6px}button{margin:0 4px 4px 0}button.on{font-weight:700}
label{display:flex;gap:6px;align-items:center}i{width:12px;height:12px;display:inline-block;border-radius:2px}
#help{position:absolute;bottom:8px;left:12px;color:#57606a}</style></head><body>
<canvas id="view"></canvas><div id="panel"><h1>@TITLE@</h1><div id="names"></div><div id="classes"></div></div>
<div id="help">drag: turn &middot; shift-drag: move &middot; wheel: zoom</div>
<script>
const D = @DATA@;
const canvas = document.getElementById("view");
const gl = canvas.getContext("webgl2", {antialias: true, preserveDrawingBuffer: true});
if (!gl) { document.getElementById("help").textContent = "This browser has no WebGL2."; throw "no WebGL2"; }
const VS = `#version 300 es
in vec3 corner; in vec3 normal; in vec4 cell;
uniform mat4 camera; uniform vec3 lower, size; uniform vec3 palette[32]; uniform float levels;
out vec3 color;
void main() {
  vec3 at = lower + (cell.xyz + corner) * size;
  float light = .62 + .38 * max(dot(normal, normalize(vec3(-.4, .5, .8))), 0.);
  color = palette[int(cell.w)] * light * (.88 + .12 * cell.z / levels);
  gl_Position = camera * vec4(at, 1.);
}`;
const FS = `#version 300 es
precision mediump float; in vec3 color; out vec4 pixel;
void main() { pixel = vec4(color, 1.); }`;
function shader(kind, text) {
  const s = gl.createShader(kind); gl.shaderSource(s, text); gl.compileShader(s);
  if (!gl.getShaderParameter(s, gl.COMPILE_STATUS)) throw gl.getShaderInfoLog(s);
  return s;
}
const program = gl.createProgram();
gl.attachShader(program, shader(gl.VERTEX_SHADER, VS)); gl.attachShader(program, shader(gl.FRAGMENT_SHADER, FS));
gl.linkProgram(program); gl.useProgram(program);
const faces = [];
for (let a = 0; a < 3; a++) for (const side of [0, 1]) {
  const b = (a + 1) % 3, c = (a + 2) % 3, corners = [[0, 0], [1, 0], [1, 1], [0, 0], [1, 1], [0, 1]];
  for (const [p, q] of corners) {
    const v = [0, 0, 0], n = [0, 0, 0]; v[a] = side; v[b] = p; v[c] = q; n[a] = side ? 1 : -1; faces.push(...v, ...n);
  }
}
function attribute(name, data, size, stride, offset, type, divisor) {
  const place = gl.getAttribLocation(program, name);
  gl.enableVertexAttribArray(place); gl.vertexAttribPointer(place, size, type, false, stride, offset);
  gl.vertexAttribDivisor(place, divisor);
}
gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(faces), gl.STATIC_DRAW);
attribute("corner", 0, 3, 24, 0, gl.FLOAT, 0); attribute("normal", 0, 3, 24, 12, gl.FLOAT, 0);
const cells = gl.createBuffer();
const uniform = name => gl.getUniformLocation(program, name);
const palette = new Float32Array(96);
D.colors.forEach((rgb, k) => { if (k < 32) rgb.forEach((v, i) => palette[3 * k + i] = v / 255); });
gl.uniform3fv(uniform("palette"), palette); gl.uniform3fv(uniform("lower"), D.lower);
gl.uniform3fv(uniform("size"), D.voxel); gl.uniform1f(uniform("levels"), D.shape[2]);
gl.enable(gl.DEPTH_TEST); gl.clearColor(.933, .945, .961, 1);
const volumes = {};
for (const [name, text] of Object.entries(D.volumes)) {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  volumes[name] = D.wide ? new Uint16Array(bytes.buffer) : bytes;
}
let current = Object.keys(volumes)[0], count = 0, hidden = new Set();
function load() {
  const all = volumes[current], kept = [];
  for (let i = 0; i < all.length; i += 4) if (!hidden.has(all[i + 3])) kept.push(all[i], all[i+1], all[i+2], all[i+3]);
  count = kept.length / 4;
  gl.bindBuffer(gl.ARRAY_BUFFER, cells); gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(kept), gl.STATIC_DRAW);
  attribute("cell", 0, 4, 16, 0, gl.FLOAT, 1); draw();
}
const span = Math.max(D.shape[0] * D.voxel[0], D.shape[1] * D.voxel[1]);
const eye = {turn: -2.6, tilt: .75, far: span * 1.05, at: [0, 1, 2].map(a => D.lower[a] + D.shape[a] * D.voxel[a] / 2)};
function multiply(a, b) {
  const m = new Float32Array(16);
  for (let i = 0; i < 4; i++) for (let j = 0; j < 4; j++) for (let k = 0; k < 4; k++) m[4*j+i] += a[4*k+i] * b[4*j+k];
  return m;
}
function draw() {
  const ratio = devicePixelRatio || 1;
  canvas.width = innerWidth * ratio; canvas.height = innerHeight * ratio;
  gl.viewport(0, 0, canvas.width, canvas.height);
  const f = 1.8, near = .5, far = span * 6, aspect = canvas.width / canvas.height;
  const lens = [f / aspect,0,0,0, 0,f,0,0, 0,0,(far+near)/(near-far),-1, 0,0,2*far*near/(near-far),0];
  const ct = Math.cos(eye.turn), st = Math.sin(eye.turn), cp = Math.cos(eye.tilt), sp = Math.sin(eye.tilt);
  const back = [ct * cp, st * cp, sp], right = [-st, ct, 0], up = [-ct * sp, -st * sp, cp];
  const p = [0, 1, 2].map(a => eye.at[a] + back[a] * eye.far), dot = (u, v) => u[0]*v[0] + u[1]*v[1] + u[2]*v[2];
  const look = [right[0],up[0],back[0],0, right[1],up[1],back[1],0, right[2],up[2],back[2],0,
                -dot(right, p), -dot(up, p), -dot(back, p), 1];
  gl.uniformMatrix4fv(uniform("camera"), false, multiply(lens, look));
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.drawArraysInstanced(gl.TRIANGLES, 0, 36, count);
}
const names = document.getElementById("names");
if (D.timeline) {
  const keys = Object.keys(volumes), slider = document.createElement("input"), text = document.createElement("div");
  const play = document.createElement("button"); let timer = null;
  const show = at => { slider.value = at; current = keys[at]; text.textContent = current; load(); };
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "play"; };
  Object.assign(slider, {type: "range", min: 0, max: keys.length - 1, value: 0, oninput: () => show(+slider.value)});
  slider.style.width = "100%"; play.textContent = "play";
  play.onclick = () => {
    if (timer) return stop();
    play.textContent = "stop"; timer = setInterval(() => show((+slider.value + 1) % keys.length), 200);
  };
  names.append(slider, text, play); text.textContent = current;
} else for (const name of Object.keys(volumes)) {
  const button = document.createElement("button"); button.textContent = name; names.append(button);
  button.onclick = () => {
    current = name; for (const one of names.children) one.className = one === button ? "on" : ""; load();
  };
  if (name === current) button.className = "on";
}
const list = document.getElementById("classes"), used = new Set();
for (const all of Object.values(volumes)) for (let i = 3; i < all.length; i += 4) used.add(all[i]);
for (const k of D.shown) if (used.has(k)) {
  const make = tag => document.createElement(tag), row = make("label"), box = make("input"), swatch = make("i");
  box.type = "checkbox"; box.checked = true; swatch.style.background = `rgb(${D.colors[k]})`;
  box.onchange = () => { box.checked ? hidden.delete(k) : hidden.add(k); load(); };
  row.append(box, swatch, D.classes[k].replaceAll("_", " ")); list.append(row);
}
let held = null;
canvas.onpointerdown = e => { held = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); };
canvas.onpointerup = () => { held = null; };
canvas.onpointermove = e => {
  if (!held) return;
  const dx = e.clientX - held[0], dy = e.clientY - held[1]; held = [e.clientX, e.clientY];
  if (e.shiftKey) {
    const s = eye.far / innerHeight, ct = Math.cos(eye.turn), st = Math.sin(eye.turn);
    eye.at[0] += (st * dx - ct * dy) * s; eye.at[1] += (-ct * dx - st * dy) * s;
  } else {
    eye.turn -= dx * .006; eye.tilt = Math.min(1.55, Math.max(.05, eye.tilt + dy * .006));
  }
  draw();
};
canvas.onwheel = e => { e.preventDefault(); eye.far *= Math.exp(e.deltaY * .001); draw(); };
onresize = draw; load();
</script></body></html>
"""
