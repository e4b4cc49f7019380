// Modes in which a click does something else: lengths and areas that are measured, ways that are found.
"use strict";
(page => {
const {data, find, state, maps} = page;

const say = text => {
  find("told").textContent = text;
  find("told").hidden = !text;
};

// --- lengths and areas on the sphere ---

const RADIUS = 6371008.8, radians = degrees => degrees * Math.PI / 180;

function apart(a, b) {
  const [from, to] = [radians(a.lat), radians(b.lat)];
  const h = Math.sin((to - from) / 2) ** 2 + Math.cos(from) * Math.cos(to) * Math.sin(radians(b.lng - a.lng) / 2) ** 2;
  return 2 * RADIUS * Math.asin(Math.min(1, Math.sqrt(h)));
}

// Square metres of a polygon (Chamberlain and Duquette 2007).
function enclosed(places) {
  const sum = places.reduce((total, a, i) => {
    const b = places[(i + 1) % places.length];
    return total + radians(b.lng - a.lng) * (2 + Math.sin(radians(a.lat)) + Math.sin(radians(b.lat)));
  }, 0);
  return Math.abs(sum) * RADIUS * RADIUS / 2;
}

let measured = [];
const empty = {type: "FeatureCollection", features: []};

function addMeasure(style) {
  style.sources.measure = {type: "geojson", data: empty, maxzoom: 22};
  style.layers.push(
    {id: "measure fill", type: "fill", source: "measure", filter: ["==", ["geometry-type"], "Polygon"], paint: {"fill-color": "#0b6bcb", "fill-opacity": 0.15}},
    {id: "measure edge", type: "line", source: "measure", paint: {"line-color": "#ffffff", "line-width": 5}},
    {id: "measure line", type: "line", source: "measure", paint: {"line-color": "#0b6bcb", "line-width": 2.5}},
    {id: "measure ends", type: "circle", source: "measure", filter: ["==", ["geometry-type"], "Point"],
      paint: {"circle-radius": 4, "circle-color": "#0b6bcb", "circle-stroke-color": "#ffffff", "circle-stroke-width": 1.5}});
}

function showMeasured() {
  const points = measured.map(p => [p.lng, p.lat]);
  const shape = points.length > 2 ? {type: "Polygon", coordinates: [[...points, points[0]]]} : {type: "LineString", coordinates: points};
  const geometries = [...(points.length > 1 ? [shape] : []), ...points.map(coordinates => ({type: "Point", coordinates}))];
  const shown = {type: "FeatureCollection", features: geometries.map(geometry => ({type: "Feature", properties: {}, geometry}))};
  for (const {map} of maps) if (map.getSource("measure")) map.getSource("measure").setData(shown);
}

function measure(one, lngLat) {
  measured.push(lngLat);
  showMeasured();
  const line = measured.slice(1).reduce((sum, p, i) => sum + apart(measured[i], p), 0);
  say(measured.length < 2 ? "Click where the line goes on." : measured.length < 3 ? page.length(line)
    : `${page.length(line)} along the line; it encloses ${page.area(enclosed(measured))}`);
}

// --- ways ---

const networks = data.sides.map(() => null), finders = data.sides.map(() => null);
async function loadNetworks() {
  for (const [number, {roads}] of data.sides.entries()) if (roads) networks[number] = mapgenWays.load(await page.json(roads));
}

function showWay(number) {
  const shown = mapgenWays.collection(finders[number] ? finders[number].features : []);
  for (const {map, number: other} of maps) if (other === number && map.getSource("way")) map.getSource("way").setData(shown);
}

function goTo({number}, {lng, lat}) {
  if (!networks[number]) return;
  finders[number] ??= mapgenWays.Finder(networks[number], say);
  finders[number].click(lng, lat);
  showWay(number);
}

// The way that the page was made for, until another is looked for.
function showGiven({line, said}, map) {
  setMode("way");
  finders[0] = mapgenWays.Finder(networks[0], say);
  finders[0].show(line);
  say(said);
  const bounds = line.reduce((all, place) => all.extend(place), new maplibregl.LngLatBounds());
  map.fitBounds(bounds, {...page.fitting(), maxZoom: 17});
  map.once("load", () => showWay(0));
}

// --- which mode ---

const HINTS = {measure: "Click where the line begins. Escape ends.", way: "Click where the way begins."};

function setMode(mode) {
  state.mode = mode;
  for (const id of Object.keys(HINTS)) find(id).setAttribute("aria-pressed", String(id === mode));
  for (const [number, finder] of finders.entries()) if (finder) {
    finder.clear();
    showWay(number);
  }
  measured = [];
  showMeasured();
  page.closePopup();
  say(HINTS[mode] || "");
  for (const {map} of maps) map.getCanvas().style.cursor = mode ? "crosshair" : "";
}
for (const id of Object.keys(HINTS)) find(id).addEventListener("click", () => setMode(state.mode === id ? "" : id));

Object.assign(page, {addMeasure, networks, finders, loadNetworks, setMode, showGiven, modes: {measure, way: goTo}, apart, enclosed});
})(window.mapgenPage);
