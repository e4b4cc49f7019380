// How one side is drawn: its sources and layers, and how they follow what is turned on and off.
"use strict";
(page => {
const {data, state} = page;

let turn = 0;
const tilesOf = (side, part) => [`mapgen://${side}/${part}/${turn}/{z}/{x}/{y}`];
const changesOf = () => [`changes://${turn}/{z}/{x}/{y}`];

function rasterSource(number, part) {
  const raster = data.sides[number][part];
  if (raster.image) {
    const [west, south, east, north] = raster.bounds;
    return {type: "image", url: `picture://${raster.image}`, coordinates: [[west, north], [east, north], [east, south], [west, south]]};
  }
  return {type: "raster", tiles: tilesOf(number, part), tileSize: raster.size, minzoom: raster.minzoom,
    maxzoom: raster.maxzoom, bounds: raster.bounds};
}

const darker = color => `#${[1, 3, 5].map(i => Math.round(parseInt(color.slice(i, i + 2), 16) * 0.55).toString(16).padStart(2, "0")).join("")}`;

function colorOf(side, tone = color => color) {
  if (!side.classes.length) return tone("#377eb8");
  const parts = side.classes.flatMap(c => [c.id, tone(c.color)]);
  return ["match", ["get", side.vector.key], ...parts, tone(side.classes.length === 1 ? side.classes[0].color : "#808080")];
}

const filterOf = (side, number) => ["!", ["in", ["get", side.vector.key], ["literal", [...state.hidden[number]]]]];
const filled = side => !side.raster || state.off.has("raster") && !state.off.has("vector");
const marked = (on, off) => ["case", ["boolean", ["feature-state", "marked"], false], on, ["boolean", ["feature-state", "near"], false], on / 2, off];

const vectorLayers = side => side.vector.layers || [null];
const fromVector = layer => ({source: "vector", ...(layer === null ? {} : {"source-layer": layer})});

// The polygons or lines of a side; they come when the rest is drawn, since they are only seen when asked for.
function addVector(map, number) {
  const side = data.sides[number], vector = side.vector;
  if (!vector || map.getSource("vector")) return;
  map.addSource("vector", vector.layers
    ? {type: "vector", tiles: [`vector://${number}/{z}/{x}/{y}`], minzoom: vector.minzoom, maxzoom: vector.maxzoom}
    : {type: "geojson", data: vector.data || {type: "FeatureCollection", features: []}, tolerance: 0.2, maxzoom: 18, generateId: true});
  const above = map.getLayer("measure fill") ? "measure fill" : undefined;
  for (const layer of vectorLayers(side)) {
    const id = `vector ${layer ?? ""}`, from = fromVector(layer);
    if (vector.lines) {
      const width = mapgenWays.widthOf(["to-number", ["get", "width_m"], 6], (side.bounds[1] + side.bounds[3]) / 2);
      map.addLayer({id: `${id} road`, type: "line", ...from, paint: {"line-color": mapgenWays.COLORS.road, "line-width": width}}, above);
      continue;
    }
    map.addLayer({id: `${id} fill`, type: "fill", ...from, paint: {"fill-color": colorOf(side), "fill-antialias": false, "fill-opacity": 0}}, above);
    map.addLayer({id: `${id} line`, type: "line", ...from, paint: {"line-color": colorOf(side, darker),
      "line-width": ["interpolate", ["linear"], ["zoom"], 12, 0.3, 17, 1.1]}}, above);
    map.addLayer({id: `${id} mark`, type: "line", ...from, layout: {"line-join": "round"}, paint: {"line-color": "#ffffff", "line-width": marked(6, 0), "line-opacity": marked(0.9, 0)}}, above);
    map.addLayer({id: `${id} mark2`, type: "line", ...from, layout: {"line-join": "round"}, paint: {"line-color": "#0b3b6b", "line-width": marked(2.5, 0), "line-opacity": marked(1, 0)}}, above);
  }
}

async function loadVector(one) {
  const {vector} = data.sides[one.number];
  if (!vector || one.onlyImagery) return;
  if (vector.geojson && !vector.data) vector.data = await (vector.loading ??= page.json(vector.geojson));
  addVector(one.map, one.number);
  settle(one);
}

const RAW = {"raster-resampling": "nearest", "raster-fade-duration": 0};

function styleOf(number, onlyImagery) {
  const side = data.sides[number];
  const style = {version: 8, sources: {}, layers: []};
  const add = (id, source, paint) => {
    style.sources[id] = source;
    style.layers.push({id, type: "raster", source: id, paint});
  };
  if (data.basemap) add("basemap", {type: "raster", tiles: [data.basemap], tileSize: 256, maxzoom: 19}, {"raster-fade-duration": 0});
  if (side.imagery) add("imagery", rasterSource(number, "imagery"), {"raster-fade-duration": 0});
  if (onlyImagery) return style;
  if (side.raster) add("raster", rasterSource(number, "raster"), {...RAW, "raster-opacity": state.opacity});
  if (side.confidence) add("confidence", rasterSource(number, "confidence"), RAW);
  if (data.changes) {
    const [a, b] = data.sides.map(s => s.raster);
    const zoom = set => set.maxzoom + Math.log2(set.size / 256);
    add("changes", {type: "raster", tiles: changesOf(), tileSize: 256, maxzoom: Math.max(zoom(a), zoom(b)), bounds: a.bounds}, RAW);
  }
  if (page.networks[number]) mapgenWays.addTo(style, page.networks[number]);
  page.addMeasure(style);
  return style;
}

const partOf = id => id.match(/^(vector|roads) /)?.[1] ?? id;

// Brings a map to the state of the page: which parts and classes are shown, how opaque.
function settle({map, number, onlyImagery}) {
  if (!map.getStyle()) return;
  const side = data.sides[number];
  for (const {id, type} of map.getStyle().layers) {
    const part = partOf(id);
    const seen = !state.off.has(part) || onlyImagery || part === "vector" && (/ mark2?$/.test(id) || type === "fill" && side.raster);
    map.setLayoutProperty(id, "visibility", seen ? "visible" : "none");
    if (part === "raster") map.setPaintProperty(id, "raster-opacity", state.opacity);
    if (part === "vector" && !side.vector.lines) {
      map.setFilter(id, filterOf(side, number));
      if (type === "fill") map.setPaintProperty(id, "fill-opacity", filled(side) ? state.opacity : 0);
    }
  }
}

const settleAll = () => page.maps.forEach(settle);

// Draws the pixels of classes again: other ones are hidden, or other changes shown.
function recolor() {
  turn += 1;
  for (const one of page.maps) {
    for (const [id, tiles] of [["raster", tilesOf(one.number, "raster")], ["changes", changesOf()]]) {
      const source = one.map.getSource(id);
      if (source && source.setTiles) source.setTiles(tiles);
    }
  }
  settleAll();
}

Object.assign(page, {styleOf, settle, settleAll, recolor, loadVector, vectorLayers});
})(window.mapgenPage);
