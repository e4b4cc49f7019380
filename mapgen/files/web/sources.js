// Where the page finds what it shows: at a server, in archives of tiles, or within itself.
"use strict";
(page => {
const {data, find, state} = page;

function embedded(name) {
  const text = atob(find(name).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const address = name => new URL(name, location.href).href;
const archives = new Map();
function archive(name) {
  if (!archives.has(name)) {
    const source = data.inlined ? new pmtiles.FileSource(new File([embedded(name)], name)) : address(name);
    archives.set(name, new pmtiles.PMTiles(source));
  }
  return archives.get(name);
}

async function content(name, signal) {
  if (data.inlined) return new Response(embedded(name));
  const answer = await fetch(address(name), {signal});
  if (!answer.ok) throw new Error(`${name}: ${(await answer.text()).trim() || answer.status}`);
  return answer;
}

async function json(name) {
  const answer = await content(name);
  if (!name.endsWith("z")) return answer.json();
  return new Response(answer.body.pipeThrough(new DecompressionStream("gzip"))).json();
}

// --- tiles ---

async function tile(set, z, x, y, signal) {
  if (set.archive) {
    const found = await archive(set.archive).getZxy(z, x, y, signal);
    return found && new Blob([found.data]);
  }
  const answer = await fetch(address(`${set.tiles}/${z}/${x}/${y}`), {signal});
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.status === 204 ? undefined : answer.blob();
}

const number = color => parseInt(color.slice(1), 16);
const exact = {premultiplyAlpha: "none", colorSpaceConversion: "none"};
// Of a canvas without a context Chromium makes no bitmap.
const nothing = () => createImageBitmap(new ImageData(1, 1));

// Colours of hidden classes, but for those that a shown class has too.
function hiddenColors(side) {
  const hidden = state.hidden[data.sides.indexOf(side)];
  const shown = new Set(side.classes.filter(c => !hidden.has(c.id)).map(c => number(c.color)));
  return side.classes.filter(c => hidden.has(c.id)).map(c => number(c.color)).filter(color => !shown.has(color));
}

function drawn(width, height, draw) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.imageSmoothingEnabled = false;
  draw(context);
  return {canvas, context, pixels: context.getImageData(0, 0, width, height)};
}

async function painted({canvas, context, pixels}) {
  context.putImageData(pixels, 0, 0);
  return {data: await createImageBitmap(canvas)};
}

maplibregl.addProtocol("picture", async (request, controller) =>
  ({data: await (await content(request.url.slice("picture://".length), controller.signal)).arrayBuffer()}));

maplibregl.addProtocol("vector", async (request, controller) => {
  const [, side, z, x, y] = request.url.match(/^vector:\/\/(\d+)\/(\d+)\/(\d+)\/(\d+)/);
  const blob = await tile(data.sides[side].vector, +z, +x, +y, controller.signal);
  return {data: blob ? await blob.arrayBuffer() : new ArrayBuffer(0)};
});

// Hidden classes become transparent where the pixels are, by their colour.
maplibregl.addProtocol("mapgen", async (request, controller) => {
  const [, side, part, , z, x, y] = request.url.match(/^mapgen:\/\/(\d+)\/(\w+)\/(\d+)\/(\d+)\/(\d+)\/(\d+)/);
  const of = data.sides[side];
  const blob = await tile(of[part], +z, +x, +y, controller.signal);
  if (!blob) return {data: await nothing()};
  const image = await createImageBitmap(blob, exact);
  const hidden = part === "raster" ? hiddenColors(of) : [];
  if (!hidden.length) return {data: image};
  const made = drawn(image.width, image.height, context => context.drawImage(image, 0, 0));
  const bytes = made.pixels.data;
  for (let i = 0; i < bytes.length; i += 4)
    if (hidden.includes(bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2])) bytes[i + 3] = 0;
  return painted(made);
});

// --- pixels of classes ---

const SIDE = 256;

// The classes of a side as colours on SIDE² pixels of a tile of any zoom: of that zoom, or of the finest there is.
async function classPixels(side, z, x, y, signal) {
  const set = side.raster;
  const own = Math.min(set.maxzoom, z - Math.log2(set.size / SIDE));
  if (own < set.minzoom) return null;
  const levels = z - own;
  const [column, row] = [x, y].map(v => Math.floor(v / 2 ** levels));
  const blob = await tile(set, own, column, row, signal);
  if (!blob) return null;
  const image = await createImageBitmap(blob, exact);
  const part = image.width / 2 ** levels;
  return drawn(SIDE, SIDE, context => context.drawImage(image, (x - column * 2 ** levels) * part,
    (y - row * 2 ** levels) * part, part, part, 0, 0, SIDE, SIDE)).pixels.data;
}

const tables = new Map();
function classAt(side, bytes, i) {
  if (!tables.has(side)) tables.set(side, new Map(side.classes.map(c => [number(c.color), c]).reverse()));
  return bytes && bytes[i + 3] ? tables.get(side).get(bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2]) : undefined;
}

// The class of a side's raster at a place, exactly.
async function classUnder(side, {lng, lat}) {
  if (!side.raster || side.raster.image) return undefined;
  const z = side.raster.maxzoom + Math.log2(side.raster.size / SIDE), scale = SIDE * 2 ** z;
  const {x, y} = maplibregl.MercatorCoordinate.fromLngLat({lng, lat});
  const [column, row] = [Math.floor(x * scale), Math.floor(y * scale)];
  const bytes = await classPixels(side, z, Math.floor(column / SIDE), Math.floor(row / SIDE));
  return classAt(side, bytes, 4 * ((row % SIDE) * SIDE + column % SIDE));
}

// Where the two sides differ, in the colour of what it became; what is alike lies under a veil.
maplibregl.addProtocol("changes", async (request, controller) => {
  const [z, x, y] = request.url.match(/(\d+)\/(\d+)\/(\d+)$/).slice(1).map(Number);
  const [before, after] = await Promise.all(data.sides.map(side => classPixels(side, z, x, y, controller.signal)));
  if (!before || !after) return {data: await nothing()};
  const made = drawn(SIDE, SIDE, () => {});
  const bytes = made.pixels.data;
  for (let i = 0; i < bytes.length; i += 4) {
    const was = classAt(data.sides[0], before, i), is = classAt(data.sides[1], after, i);
    if (!was || !is) continue;
    const wanted = state.change ? was.id === state.change.from && is.id === state.change.to : page.unlike(was, is);
    bytes.set(wanted ? after.subarray(i, i + 3) : [255, 255, 255], i);
    bytes[i + 3] = wanted ? 255 : 190;
  }
  return painted(made);
});

Object.assign(page, {embedded, content, json, classUnder});
})(window.mapgenPage);
