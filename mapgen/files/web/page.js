// The page of `mapgen view`: maps of one or two results, their legend, and what can be done with them.
"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const find = id => document.getElementById(id);
const state = {hidden: data.sides.map(() => new Set()), off: new Set(), opacity: 0.7, swipe: false, waying: false, at: 50};
const maps = [];
const errors = [];

// Everything that is shown as text is set as text: names come from files of others.
function element(name, options = {}, ...children) {
  const made = Object.assign(document.createElement(name), options);
  made.append(...children);
  return made;
}

function fail(error) {
  const text = String((error && error.message) || error);
  errors.push(text);
  find("failure-text").textContent = text;
  find("failure").hidden = false;
}
find("dismiss").addEventListener("click", () => { find("failure").hidden = true; });

// --- what is shown comes by name: from the server, or out of this file -------------------------------------------

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

const parsed = name => JSON.parse(new TextDecoder().decode(embedded(name)));
const geojson = name => data.inlined ? parsed(name) : address(name);

const networks = data.sides.map(() => null);
async function loadNetworks() {
  for (const [number, {roads}] of data.sides.entries()) {
    if (!roads) continue;
    networks[number] = mapgenWays.load(data.inlined ? parsed(roads) : await (await fetch(address(roads))).json());
  }
}

maplibregl.addProtocol("picture", async (request, controller) => {
  const name = request.url.slice("picture://".length);
  if (data.inlined) return {data: embedded(name).buffer};
  return {data: await (await fetch(address(name), {signal: controller.signal})).arrayBuffer()};
});

// --- tiles of classes: hidden classes become transparent where the pixels are, by their colour ---------------------

async function pixels(raster, z, x, y, signal) {
  if (raster.archive) {
    const found = await archive(raster.archive).getZxy(z, x, y, signal);
    return found && new Blob([found.data]);
  }
  const answer = await fetch(address(`${raster.tiles}/${z}/${x}/${y}`), {signal});
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.status === 204 ? undefined : answer.blob();
}

const hiddenOf = side => state.hidden[data.sides.indexOf(side)];

function hiddenColors(side) {
  const hidden = hiddenOf(side);
  const shown = new Set(side.classes.filter(c => !hidden.has(c.id)).map(c => c.color.toLowerCase()));
  return side.classes.filter(c => hidden.has(c.id) && !shown.has(c.color.toLowerCase()))
    .map(c => parseInt(c.color.slice(1), 16));
}

maplibregl.addProtocol("mapgen", async (request, controller) => {
  const [, side, part, , z, x, y] = request.url.match(/^mapgen:\/\/(\d+)\/(\w+)\/(\d+)\/(\d+)\/(\d+)\/(\d+)/);
  const of = data.sides[side];
  const blob = await pixels(of[part], +z, +x, +y, controller.signal);
  // Of a canvas without a context Chromium makes no bitmap.
  if (!blob) return {data: await createImageBitmap(new ImageData(1, 1))};
  const image = await createImageBitmap(blob, {premultiplyAlpha: "none", colorSpaceConversion: "none"});
  const hidden = part === "raster" ? hiddenColors(of) : [];
  if (!hidden.length) return {data: image};
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  const colors = context.getImageData(0, 0, image.width, image.height);
  const bytes = colors.data;
  for (let i = 0; i < bytes.length; i += 4)
    if (hidden.includes(bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2])) bytes[i + 3] = 0;
  context.putImageData(colors, 0, 0);
  return {data: await createImageBitmap(canvas)};
});

maplibregl.addProtocol("vector", async (request, controller) => {
  const [, side, z, x, y] = request.url.match(/^vector:\/\/(\d+)\/(\d+)\/(\d+)\/(\d+)/);
  const blob = await pixels(data.sides[side].vector, +z, +x, +y, controller.signal);
  return {data: blob ? await blob.arrayBuffer() : new ArrayBuffer(0)};
});

// --- the style of one side ----------------------------------------------------------------------------------------

let turn = 0;
const tilesOf = (side, part) => [`mapgen://${side}/${part}/${turn}/{z}/{x}/{y}`];

function rasterSource(number, part) {
  const raster = data.sides[number][part];
  if (raster.image) {
    const [west, south, east, north] = raster.bounds;
    return {type: "image", url: `picture://${raster.image}`, coordinates: [[west, north], [east, north], [east, south], [west, south]]};
  }
  return {type: "raster", tiles: tilesOf(number, part), tileSize: raster.size, minzoom: raster.minzoom,
    maxzoom: raster.maxzoom, bounds: raster.bounds};
}

function colorOf(side) {
  if (!side.classes.length) return "#377eb8";
  const parts = side.classes.flatMap(c => [c.id, c.color]);
  return ["match", ["get", side.vector.key], ...parts, side.classes.length === 1 ? side.classes[0].color : "#808080"];
}

const filterOf = side => ["!", ["in", ["get", side.vector.key], ["literal", [...hiddenOf(side)]]]];

function styleOf(number, onlyImagery) {
  const side = data.sides[number];
  const style = {version: 8, sources: {}, layers: []};
  if (side.imagery) {
    style.sources.imagery = rasterSource(number, "imagery");
    style.layers.push({id: "imagery", type: "raster", source: "imagery", paint: {"raster-fade-duration": 0}});
  }
  if (onlyImagery) return style;
  if (side.raster) {
    style.sources.raster = rasterSource(number, "raster");
    style.layers.push({id: "raster", type: "raster", source: "raster",
      paint: {"raster-resampling": "nearest", "raster-fade-duration": 0, "raster-opacity": state.opacity}});
  }
  if (side.vector) {
    const vector = side.vector;
    style.sources.vector = vector.layers
      ? {type: "vector", tiles: [`vector://${number}/{z}/{x}/{y}`], minzoom: vector.minzoom, maxzoom: vector.maxzoom}
      : {type: "geojson", data: geojson(vector.geojson), tolerance: 0.2, maxzoom: 20};
    for (const layer of vector.layers || [null]) {
      const from = {source: "vector", ...(layer === null ? {} : {"source-layer": layer})};
      const id = `vector ${layer ?? ""}`;
      if (vector.lines) {
        const width = mapgenWays.widthOf(["to-number", ["get", "width_m"], 6], (side.bounds[1] + side.bounds[3]) / 2);
        style.layers.push({id: `${id} road`, type: "line", ...from, paint: {"line-color": mapgenWays.COLORS.road, "line-width": width}});
        continue;
      }
      style.layers.push({id: `${id} fill`, type: "fill", ...from, filter: filterOf(side),
        paint: {"fill-color": colorOf(side), "fill-antialias": false, "fill-opacity": side.raster ? 0 : state.opacity}});
      style.layers.push({id: `${id} line`, type: "line", ...from, filter: filterOf(side),
        paint: {"line-color": side.raster ? "#1d2321" : colorOf(side), "line-opacity": 0.7, "line-width": ["interpolate", ["linear"], ["zoom"], 13, 0.3, 17, 1.2]}});
    }
  }
  if (networks[number]) mapgenWays.addTo(style, networks[number]);
  return style;
}

const partOf = id => id.match(/^(vector|roads) /)?.[1] ?? id;

// Brings a map to the state of the page: which parts and classes are shown, how opaque.
function settle(map, number, onlyImagery) {
  const side = data.sides[number];
  for (const {id, type} of map.getStyle().layers) {
    const part = partOf(id);
    map.setLayoutProperty(id, "visibility", state.off.has(part) && !onlyImagery ? "none" : "visible");
    if (part === "raster") map.setPaintProperty(id, "raster-opacity", state.opacity);
    if (part === "vector" && !side.vector.lines) {
      map.setFilter(id, filterOf(side));
      const filled = !side.raster || state.off.has("raster");
      if (type === "fill") map.setPaintProperty(id, "fill-opacity", filled ? state.opacity : 0);
      else map.setPaintProperty(id, "line-color", filled ? colorOf(side) : "#1d2321");
    }
  }
}

const settleAll = () => maps.forEach(one => one.map.getStyle() && settle(one.map, one.number, one.onlyImagery));

function recolor() {
  turn += 1;
  for (const one of maps) {
    const source = one.map.getSource("raster");
    if (source) source.setTiles(tilesOf(one.number, "raster"));
  }
  settleAll();
}

// --- maps ---------------------------------------------------------------------------------------------------------

const bounds = data.sides.map(s => s.bounds).reduce((a, b) =>
  [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])]);
const fitting = () => ({padding: {top: 30, bottom: 50, left: 30, right: innerWidth > 700 && !find("contents").hidden ? 300 : 30}, animate: false});

function newMap(container, number, onlyImagery) {
  const map = new maplibregl.Map({container, style: styleOf(number, onlyImagery), bounds, fitBoundsOptions: fitting(),
    attributionControl: false, fadeDuration: 0, maxZoom: 24, dragRotate: false, pitchWithRotate: false});
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.getCanvas().setAttribute("aria-label", "Map: arrows move it, + and − zoom");
  map.on("error", event => fail(event.error));
  map.on("click", event => state.waying && networks[number] ? goTo(number, event.lngLat) : tell(map, number, event));
  const one = {map, number, onlyImagery, idle: new Promise(done => map.once("idle", () => done(true)))};
  map.on("style.load", () => settle(map, number, onlyImagery));
  map.on("move", () => follow(one));
  maps.push(one);
  return one;
}

let following = false;
function follow(leader) {
  if (following) return;
  following = true;
  for (const {map} of maps) if (map !== leader.map)
    map.jumpTo({center: leader.map.getCenter(), zoom: leader.map.getZoom(), bearing: 0, pitch: 0});
  following = false;
}

let popup = null;
function tell(map, number, event) {
  const side = data.sides[number];
  if (popup) popup.remove();
  const layers = map.getStyle().layers.filter(l => l.type === "fill").map(l => l.id);
  const [feature] = layers.length ? map.queryRenderedFeatures(event.point, {layers}) : [];
  if (!feature) return;
  const table = element("table");
  for (const [key, value] of Object.entries(feature.properties)) {
    if (key === "mapgen_class") continue;
    const text = typeof value === "number" && !Number.isInteger(value) ? value.toLocaleString("en", {maximumFractionDigits: 3}) : String(value);
    table.append(element("tr", {}, element("th", {scope: "row", textContent: key}), element("td", {textContent: text})));
  }
  const known = side.classes.find(c => c.id === feature.properties[side.vector.key]);
  const content = element("div", {}, ...(table.rows.length ? [table] : [element("p", {textContent: known ? known.name : "no attributes"})]));
  popup = new maplibregl.Popup({maxWidth: "340px"}).setLngLat(event.lngLat).setDOMContent(content).addTo(map);
}

// --- ways -----------------------------------------------------------------------------------------------------------

const say = text => {
  find("told").textContent = text;
  find("told").hidden = !text;
};
const finders = data.sides.map(() => null);

function showWay(number) {
  const shown = mapgenWays.collection(finders[number] ? finders[number].features : []);
  for (const {map, number: other} of maps) if (other === number && map.getSource("way")) map.getSource("way").setData(shown);
}

function goTo(number, {lng, lat}) {
  finders[number] ??= mapgenWays.Finder(networks[number], say);
  finders[number].click(lng, lat);
  showWay(number);
}

// The way that the page was made for, until another is looked for.
function showGiven({line, said}, map) {
  setWaying(true);
  finders[0] = mapgenWays.Finder(networks[0], say);
  finders[0].show(line);
  say(said);
  const [west, south, east, north] = line.reduce(([w, s, e, n], [x, y]) =>
    [Math.min(w, x), Math.min(s, y), Math.max(e, x), Math.max(n, y)], [180, 90, -180, -90]);
  map.fitBounds([west, south, east, north], {...fitting(), maxZoom: 17});
  map.once("load", () => showWay(0));
}

function setWaying(on) {
  state.waying = on;
  find("way").setAttribute("aria-pressed", String(on));
  for (const [number, finder] of finders.entries()) if (finder) {
    finder.clear();
    showWay(number);
  }
  if (popup) popup.remove();
  say(on ? "Click where the way begins." : "");
  for (const {map} of maps) map.getCanvas().style.cursor = on ? "crosshair" : "";
}

// --- the swipe ------------------------------------------------------------------------------------------------------

const comparing = data.sides.length > 1;
function swipeTo(percent) {
  state.at = Math.max(0, Math.min(100, percent));
  find("handle").style.left = `${state.at}%`;
  find("handle").setAttribute("aria-valuenow", String(Math.round(state.at)));
  find("above").style.clipPath = `inset(0 0 0 ${state.at}%)`;
}

function setSwipe(on) {
  state.swipe = on;
  for (const id of ["above", "handle", "left", "right"]) find(id).hidden = !on;
  find("swipe").setAttribute("aria-pressed", String(on));
  if (!on) return;
  if (maps.length < 2) {
    const one = newMap("above", comparing ? 1 : 0, !comparing);
    const first = maps[0].map;
    one.map.jumpTo({center: first.getCenter(), zoom: first.getZoom()});
  } else maps[1].map.resize();
  find("left").textContent = data.sides[0].title;
  find("right").textContent = comparing ? data.sides[1].title : "imagery";
  swipeTo(state.at);
}

find("handle").addEventListener("pointerdown", event => {
  find("handle").setPointerCapture(event.pointerId);
  const move = next => swipeTo(100 * next.clientX / innerWidth);
  find("handle").addEventListener("pointermove", move);
  find("handle").addEventListener("pointerup", () => find("handle").removeEventListener("pointermove", move), {once: true});
});
find("handle").addEventListener("keydown", event => {
  const step = {ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageUp: 10, PageDown: -10, Home: -100, End: 100}[event.key];
  if (step === undefined) return;
  event.preventDefault();
  swipeTo(state.at + step);
});

// --- the panel --------------------------------------------------------------------------------------------------------

function checkbox(text, checked, changed, color, area) {
  const box = element("input", {type: "checkbox", checked});
  box.addEventListener("change", () => changed(box.checked));
  const label = element("label", {}, box);
  if (color) {
    const swatch = element("span", {className: "swatch"});
    swatch.style.background = color;
    label.append(swatch);
  }
  label.append(element("span", {className: "what", textContent: text}));
  if (area) label.append(element("span", {className: "area", textContent: area}));
  return label;
}

// Whether a class that both sides have is called and coloured alike in both; if not, each side gets a legend of its own.
function sameLegend() {
  const known = new Map();
  return data.sides.every(side => side.classes.every(c => {
    const other = known.get(c.id) || c;
    known.set(c.id, other);
    return other.name === c.name && other.color.toLowerCase() === c.color.toLowerCase();
  }));
}

function legendOf(sides, titled) {
  const known = new Map();
  for (const side of sides) for (const c of side.classes) if (!known.has(c.id)) known.set(c.id, c);
  const rows = [...known.values()].map(c => {
    const areas = sides.map(s => (s.classes.find(o => o.id === c.id) || {}).area || (sides.length > 1 ? "–" : "")).join(" | ");
    return checkbox(c.name, true, on => {
      for (const side of sides) hiddenOf(side)[on ? "delete" : "add"](c.id);
      recolor();
    }, c.color, areas.replace(/[– |]/g, "") ? areas : "");
  });
  return titled ? [element("p", {className: "side", textContent: sides[0].title}), ...rows] : rows;
}

function buildPanel() {
  find("title").textContent = data.sides.map(s => s.title).join(" | ");
  const parts = {imagery: "Imagery", raster: "Class map", vector: "Polygons", roads: "Roads"};
  for (const [part, text] of Object.entries(parts)) {
    if (!data.sides.some(s => s[part])) continue;
    find("layers").append(checkbox(text, true, on => {
      state.off[on ? "delete" : "add"](part);
      settleAll();
    }));
  }
  const legends = sameLegend() ? [data.sides] : data.sides.map(s => [s]);
  for (const sides of legends) find("classes").append(...legendOf(sides, legends.length > 1));
  find("classes").hidden = !data.sides.some(s => s.classes.length);
  find("opacity-row").hidden = !data.sides.some(s => s.raster || s.vector);
  find("total").textContent = data.sides.map(s => s.note).filter(Boolean).join(" ");
  const missing = data.sides.flatMap(s => s.missing);
  find("missing").append(...missing.map(text => element("li", {textContent: text})));
  find("missing").hidden = !missing.length;
  find("way").hidden = !networks.some(Boolean);
  find("swipe").hidden = !comparing && !(data.sides[0].imagery && (data.sides[0].raster || data.sides[0].vector));
}

find("opacity").addEventListener("input", () => {
  state.opacity = find("opacity").value / 100;
  settleAll();
});
find("fold").addEventListener("click", () => {
  const folded = !find("contents").hidden;
  find("contents").hidden = folded;
  find("fold").textContent = folded ? "+" : "−";
  find("fold").setAttribute("aria-expanded", String(!folded));
});
find("fit").addEventListener("click", () => maps[0].map.fitBounds(bounds, fitting()));
find("way").addEventListener("click", () => setWaying(!state.waying));
find("swipe").addEventListener("click", () => setSwipe(!state.swipe));

const dark = () => {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};
const nameTheme = () => { find("theme").textContent = dark() ? "Light" : "Dark"; };
find("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
  nameTheme();
});

async function begin() {
  nameTheme();
  await loadNetworks();
  buildPanel();
  const first = newMap("below", 0, false);
  first.map.addControl(new maplibregl.NavigationControl({showCompass: false}), "top-left");
  first.map.addControl(new maplibregl.ScaleControl({maxWidth: 140}), "bottom-left");
  if (comparing) setSwipe(true);
  if (data.way) showGiven(data.way, first.map);
}
begin().catch(fail);
window.mapgenPage = {maps, state, errors, networks, finders, swipeTo, setSwipe, setWaying};
})();
