// What lies at a place: told on a click, with the polygon marked; the polygon under the mouse is hinted at.
"use strict";
(page => {
const {data, find, element, state, maps, area, share} = page;

let popup = null, told = null;
const states = {marked: [], near: []};

function mark(kind, one, feature) {
  for (const {map, target} of states[kind]) if (map.getSource("vector")) map.removeFeatureState(target, kind);
  states[kind] = [];
  if (!feature || feature.id === undefined) return;
  const target = {source: "vector", id: feature.id, ...(feature.sourceLayer ? {sourceLayer: feature.sourceLayer} : {})};
  for (const {map, number} of maps) if (number === one.number && map.getSource("vector")) {
    map.setFeatureState(target, {[kind]: true});
    states[kind].push({map, target});
  }
}

function featureAt({map, number}, point) {
  const vector = data.sides[number].vector;
  if (!vector || vector.lines) return undefined;
  const layers = map.getStyle().layers.filter(l => l.type === "fill" && l.source === "vector").map(l => l.id);
  return layers.length ? map.queryRenderedFeatures(point, {layers})[0] : undefined;
}

function lineAt({map, number}, point) {
  if (!data.sides[number].vector?.lines) return undefined;
  const layers = map.getStyle().layers.filter(l => l.type === "line" && l.source === "vector").map(l => l.id);
  return layers.length ? map.queryRenderedFeatures([[point.x - 4, point.y - 4], [point.x + 4, point.y + 4]], {layers})[0] : undefined;
}

// --- in words ---

const KNOWN = new Set(["class_id", "class_name", "area_m2", "area_ha", "perimeter_m", "confidence", "confidence_min", "mapgen_class"]);
const percent = value => `${(100 * value).toFixed(0)} %`;

function rowsOf(side, c, properties) {
  const rows = [], known = key => typeof properties[key] === "number";
  const total = side.classes.reduce((sum, one) => sum + (one.area || 0), 0);
  if (known("area_m2")) rows.push(["Area", area(properties.area_m2) + (total ? ` (${share(properties.area_m2 / total)} of the map)` : "")]);
  if (known("perimeter_m")) rows.push(["Perimeter", page.length(properties.perimeter_m)]);
  if (known("confidence")) rows.push(["Confidence", percent(properties.confidence) + (known("confidence_min") ? `, at least ${percent(properties.confidence_min)}` : "")]);
  for (const [key, value] of Object.entries(properties)) {
    if (KNOWN.has(key) || value === null) continue;
    rows.push([key, typeof value === "number" && !Number.isInteger(value) ? value.toLocaleString("en", {maximumFractionDigits: 3}) : String(value)]);
  }
  if (c && c.area) rows.push([`All ${c.name}`, area(c.area) + (c.share === null ? "" : ` (${share(c.share)} of the map)`)]);
  return rows;
}

function block(side, c, properties, titled) {
  const swatch = element("span", {className: "swatch"});
  swatch.style.background = c ? c.color : "transparent";
  const name = c ? c.name : properties.class_name || "";
  const rows = rowsOf(side, c, properties);
  const table = element("table", {}, ...rows.map(([key, value]) =>
    element("tr", {}, element("th", {scope: "row", textContent: key}), element("td", {textContent: value}))));
  return [...(titled ? [element("p", {className: "side", textContent: side.title})] : []),
    ...(name ? [element("h2", {}, swatch, name)] : []), ...(rows.length ? [table] : [])];
}

async function blocks(one, feature, lngLat) {
  const sides = page.comparing ? data.sides : [data.sides[one.number]];
  const found = await Promise.all(sides.map(async side => {
    if (side === data.sides[one.number] && feature)
      return [side, side.classes.find(c => c.id === feature.properties[side.vector.key]), feature.properties];
    const c = await page.classUnder(side, lngLat);
    const seen = c && !state.hidden[data.sides.indexOf(side)].has(c.id) && !state.off.has("raster");
    return seen ? [side, c, {}] : null;
  }));
  return found.filter(Boolean).flatMap(parts => block(...parts, sides.length > 1));
}

async function tell(one, point, lngLat) {
  const asked = told = {};
  close();
  told = asked;
  const feature = featureAt(one, point) || lineAt(one, point);
  const content = await blocks(one, feature, lngLat);
  if (told !== asked || !content.length) return;
  mark("marked", one, feature);
  content.push(element("p", {className: "place", textContent: page.place(lngLat)}));
  popup = new maplibregl.Popup({maxWidth: "320px", closeOnClick: false, focusAfterOpen: false}).setLngLat(lngLat)
    .setDOMContent(element("div", {}, ...content)).addTo(one.map);
  popup.on("close", () => mark("marked", one));
  find("heard").textContent = content.map(e => e.innerText || e.textContent).join(". ");
}

function close() {
  told = null;
  if (popup) popup.remove();
  popup = null;
}

// --- what is watched ---

function watch(one) {
  const {map} = one;
  map.on("click", event => {
    if (state.mode && page.modes[state.mode]) page.modes[state.mode](one, event.lngLat);
    else tell(one, event.point, event.lngLat).catch(page.fail);
  });
  let waiting = false;
  map.on("mousemove", event => {
    find("where").textContent = page.place(event.lngLat);
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const feature = state.mode || map.isMoving() ? undefined : featureAt(one, event.point);
      mark("near", one, feature);
      if (!state.mode) map.getCanvas().style.cursor = feature ? "pointer" : "";
    });
  });
  map.on("mouseout", () => {
    find("where").textContent = "";
    mark("near", one);
  });
  map.getCanvas().addEventListener("keydown", event => {
    if (event.key !== "Enter") return;
    const center = map.getCenter();
    if (state.mode && page.modes[state.mode]) page.modes[state.mode](one, center);
    else tell(one, map.project(center), center).catch(page.fail);
  });
}

document.addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  if (popup) close();
  else if (state.mode) page.setMode("");
});

Object.assign(page, {watch, closePopup: close});
})(window.mapgenPage);
