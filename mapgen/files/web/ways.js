// Roads on the page: drawn as wide as they are, and the shortest way between two places, found here from the network
// itself (see mapgen/roads/compact.py for its form). No server is asked.
"use strict";
const mapgenWays = (() => {
// Metres of a degree of latitude and of longitude, on the ellipsoid: on a sphere the share of an edge that lies before a
// place would be off by some decimetres where the edge bends (series of WGS 84; lengths of edges come with them).
const degree = middle => {
  const at = n => Math.cos(n * middle * Math.PI / 180);
  return {up: 111132.95 - 559.85 * at(2) + 1.18 * at(4), across: 111412.88 * at(1) - 93.5 * at(3) + 0.12 * at(5)};
};
const REACH = 100;  // metres that a place may lie off the roads

// --- the network ----------------------------------------------------------------------------------------------------

function Network(plain) {
  const edges = plain.u.length;
  const offsets = new Int32Array(edges + 1);
  for (let i = 0; i < edges; i++) offsets[i + 1] = offsets[i] + plain.sizes[i];
  const lon = new Float64Array(offsets[edges]), lat = new Float64Array(offsets[edges]);
  for (let k = 0, x = 0, y = 0; k < lon.length; k++) {
    x += plain.points[2 * k];
    y += plain.points[2 * k + 1];
    lon[k] = x / 1e7;
    lat[k] = y / 1e7;
  }
  const middle = lat.length ? (lat.reduce((a, b) => Math.min(a, b)) + lat.reduce((a, b) => Math.max(a, b))) / 2 : 0;
  return {...plain, edges, offsets, lon, lat, middle, ...degree(middle), ...darts(plain)};
}

// Dart 2·i is edge i from u to v, dart 2·i + 1 the reverse; those that leave node n are leaving[first[n] … first[n + 1]].
function darts({nodes, u, v}) {
  const first = new Int32Array(nodes + 1), leaving = new Int32Array(2 * u.length);
  for (let i = 0; i < u.length; i++) first[u[i] + 1]++, first[v[i] + 1]++;
  for (let n = 0; n < nodes; n++) first[n + 1] += first[n];
  const at = first.slice();
  for (let i = 0; i < u.length; i++) {
    leaving[at[u[i]]++] = 2 * i;
    leaving[at[v[i]]++] = 2 * i + 1;
  }
  return {first, leaving};
}

const originOf = (net, dart) => dart & 1 ? net.v[dart >> 1] : net.u[dart >> 1];
const targetOf = (net, dart) => originOf(net, dart ^ 1);
const distance = (net, lon, lat, k) => Math.hypot((net.lon[k] - lon) * net.across, (net.lat[k] - lat) * net.up);

// The place on the roads that is nearest to a point: its edge, which share of its length lies before it, how far away.
function nearest(net, lon, lat) {
  let best = {away: Infinity};
  for (let i = 0; i < net.edges; i++) {
    let before = 0, found = null;
    for (let k = net.offsets[i] + 1; k < net.offsets[i + 1]; k++) {
      const ax = (net.lon[k - 1] - lon) * net.across, ay = (net.lat[k - 1] - lat) * net.up;
      const dx = (net.lon[k] - net.lon[k - 1]) * net.across, dy = (net.lat[k] - net.lat[k - 1]) * net.up;
      const size = Math.hypot(dx, dy);
      const part = size > 0 ? Math.min(1, Math.max(0, -(ax * dx + ay * dy) / (size * size))) : 0;
      const away = Math.hypot(ax + part * dx, ay + part * dy);
      if (away < best.away) {
        const at = [net.lon[k - 1] + part * (net.lon[k] - net.lon[k - 1]), net.lat[k - 1] + part * (net.lat[k] - net.lat[k - 1])];
        best = found = {edge: i, away, before: before + part * size, at, after: k};
      }
      before += size;
    }
    if (found) best.share = before > 0 ? best.before / before : 0;
  }
  return best;
}

// --- the way --------------------------------------------------------------------------------------------------------

function Heap() {
  const keys = [], items = [];
  const swap = (a, b) => {
    [keys[a], keys[b]] = [keys[b], keys[a]];
    [items[a], items[b]] = [items[b], items[a]];
  };
  return {
    get least() { return keys.length ? keys[0] : Infinity; },
    push(key, item) {
      let at = keys.push(key) - 1;
      items.push(item);
      for (let up; at > 0 && keys[up = (at - 1) >> 1] > keys[at]; at = up) swap(at, up);
    },
    pop() {
      const top = items[0], key = keys.pop(), item = items.pop();
      if (keys.length) {
        keys[0] = key;
        items[0] = item;
        for (let at = 0, low; (low = 2 * at + 1) < keys.length; at = low) {
          if (low + 1 < keys.length && keys[low + 1] < keys[low]) low++;
          if (keys[low] >= keys[at]) break;
          swap(at, low);
        }
      }
      return top;
    },
  };
}

// The shortest way between two places of `nearest`, by A* (Hart, Nilsson, Raphael 1968); null where there is none.
// The straight line, a little shortened, is never longer than a way: degrees are no metres to the last digit.
function shortest(net, from, to) {
  const metres = i => net.length[i] / 1000;
  const rest = node => 0.99 * distance(net, to.at[0], to.at[1], net.place[node]);
  const far = new Float64Array(net.nodes).fill(Infinity), came = new Int32Array(net.nodes).fill(-1);
  const queue = Heap();
  const reach = (node, length, dart) => {
    if (length >= far[node]) return;
    far[node] = length;
    came[node] = dart;
    queue.push(length + rest(node), node);
  };
  const L = metres(from.edge), M = metres(to.edge);
  reach(net.u[from.edge], from.share * L, -2);
  reach(net.v[from.edge], (1 - from.share) * L, -3);
  let best = from.edge === to.edge ? {length: Math.abs(from.share - to.share) * L, end: -1} : {length: Infinity};
  const done = new Uint8Array(net.nodes);
  while (queue.least < best.length) {
    const node = queue.pop();
    if (done[node]) continue;
    done[node] = 1;
    for (const [end, share] of [[0, to.share], [1, 1 - to.share]])
      if (node === (end ? net.v : net.u)[to.edge] && far[node] + share * M < best.length)
        best = {length: far[node] + share * M, end};
    for (let k = net.first[node]; k < net.first[node + 1]; k++)
      reach(targetOf(net, net.leaving[k]), far[node] + metres(net.leaving[k] >> 1), net.leaving[k]);
  }
  if (best.length === Infinity) return null;
  return {length: best.length, legs: legsOf(net, from, to, best.end, came)};
}

// The way as parts of edges: [edge, share where it begins, share where it ends].
function legsOf(net, from, to, end, came) {
  if (end < 0) return [[from.edge, from.share, to.share]];
  const legs = [[to.edge, end, to.share]];
  let node = (end ? net.v : net.u)[to.edge];
  for (; came[node] >= 0; node = originOf(net, came[node])) legs.push([came[node] >> 1, came[node] & 1, 1 - (came[node] & 1)]);
  legs.push([from.edge, from.share, came[node] === -3 ? 1 : 0]);
  return legs.reverse().filter(([, a, b]) => a !== b);
}

// Longitudes and latitudes along an edge from one share to another.
function along(net, [edge, a, b]) {
  const low = net.offsets[edge], high = net.offsets[edge + 1];
  const sums = [0];
  for (let k = low + 1; k < high; k++) sums.push(sums[k - low - 1] + distance(net, net.lon[k - 1], net.lat[k - 1], k));
  const whole = sums[sums.length - 1], from = Math.min(a, b) * whole, to = Math.max(a, b) * whole;
  const at = metres => {
    let k = 1;
    while (k < sums.length - 1 && sums[k] < metres) k++;
    const part = sums[k] > sums[k - 1] ? (metres - sums[k - 1]) / (sums[k] - sums[k - 1]) : 0;
    const mix = values => values[low + k - 1] + part * (values[low + k] - values[low + k - 1]);
    return [mix(net.lon), mix(net.lat)];
  };
  const line = [at(from)];
  for (let k = 1; k < sums.length - 1; k++) if (sums[k] > from && sums[k] < to) line.push([net.lon[low + k], net.lat[low + k]]);
  line.push(at(to));
  return a <= b ? line : line.reverse();
}

// What is to be known of a way: its line, metres, the narrowest width (null: not known), metres over bridged gaps.
function told(net, way) {
  const widths = way.legs.map(([edge]) => net.narrowest[edge]).filter(width => width >= 0);
  const bridged = way.legs.reduce((sum, [edge, a, b]) => sum + Math.max(0, net.bridged[edge]) / 10 * Math.abs(b - a), 0);
  return {length: way.length, narrowest: widths.length ? Math.min(...widths) / 10 : null, bridged,
    line: way.legs.flatMap(leg => along(net, leg))};
}

// --- on the map -----------------------------------------------------------------------------------------------------

function load(plain) {
  const net = Network(plain);
  net.place = new Int32Array(net.nodes);  // a vertex at each node
  for (let i = 0; i < net.edges; i++) {
    net.place[net.u[i]] = net.offsets[i];
    net.place[net.v[i]] = net.offsets[i + 1] - 1;
  }
  return net;
}

const collection = features => ({type: "FeatureCollection", features});
const feature = (type, coordinates, properties = {}) => ({type: "Feature", properties, geometry: {type, coordinates}});

// MapLibre's width of a line for roads of so many metres (an expression): true to scale, and a little more.
function widthOf(metres, latitude) {
  const scale = zoom => 512 * 2 ** zoom / (40075016.7 * Math.cos(latitude * Math.PI / 180));
  const at = zoom => ["+", 0.8, ["*", metres, scale(zoom)]];
  return ["interpolate", ["exponential", 2], ["zoom"], 8, at(8), 24, at(24)];
}

const COLORS = {road: "#c83c32", bridged: "#e68c1e", way: "#1f5fd0"};

function addTo(style, net) {
  const lines = [];
  for (let i = 0; i < net.edges; i++) {
    const width = net.width[i] >= 0 ? net.width[i] / 10 : 6;
    lines.push(feature("LineString", along(net, [i, 0, 1]), {width, bridged: Math.max(0, net.bridged[i]) / 10}));
  }
  style.sources.roads = {type: "geojson", data: collection(lines), tolerance: 0.2, maxzoom: 20};
  style.sources.way = {type: "geojson", data: collection([]), maxzoom: 20};
  const round = {"line-cap": "round", "line-join": "round"};
  const width = widthOf(["get", "width"], net.middle);
  style.layers.push(
    {id: "roads seen", type: "line", source: "roads", layout: round, filter: ["==", ["get", "bridged"], 0],
      paint: {"line-color": COLORS.road, "line-opacity": 0.8, "line-width": width}},
    {id: "roads bridged", type: "line", source: "roads", filter: [">", ["get", "bridged"], 0],
      paint: {"line-color": COLORS.bridged, "line-opacity": 0.9, "line-width": width, "line-dasharray": [2, 0.7]}},
    {id: "way edge", type: "line", source: "way", layout: round, paint: {"line-color": "#fff", "line-width": 8}},
    {id: "way", type: "line", source: "way", layout: round, paint: {"line-color": COLORS.way, "line-width": 5}},
    {id: "way ends", type: "circle", source: "way", filter: ["==", ["geometry-type"], "Point"],
      paint: {"circle-radius": 6, "circle-color": COLORS.way, "circle-stroke-color": "#fff", "circle-stroke-width": 2}});
}

const metres = value => value < 1000 ? `${value.toFixed(0)} m` : `${(value / 1000).toFixed(2)} km`;

// Places that are clicked one after the other: the second ends a way, a third begins another. `say` is told in words.
function Finder(net, say) {
  const state = {places: [], way: null, features: []};
  state.click = (lon, lat) => {
    if (state.places.length === 2) state.clear();
    const place = nearest(net, lon, lat);
    if (!(place.away <= REACH)) {
      say(`No road within ${REACH} m of there${place.away < 1e6 ? `: the nearest is ${metres(place.away)} away` : ""}.`);
      return state;
    }
    state.places.push(place);
    state.features = state.places.map(p => feature("Point", p.at));
    if (state.places.length === 1) {
      say("Click where the way ends.");
      return state;
    }
    const found = shortest(net, ...state.places);
    if (!found) {
      say("There is no way between these places: no road joins them.");
      return state;
    }
    state.way = told(net, found);
    if (state.way.line.length > 1) state.features.unshift(feature("LineString", state.way.line));
    say(`${metres(state.way.length)}${state.way.narrowest === null ? "" : `, narrowest ${state.way.narrowest.toFixed(1)} m`}` +
      `${state.way.bridged >= 0.5 ? `, ${metres(state.way.bridged)} over bridged gaps` : ""}. One-way streets, turn rules and levels are not known.`);
    return state;
  };
  state.show = line => {
    const ends = [line[0], line[line.length - 1]];
    Object.assign(state, {places: ends, features: [feature("LineString", line), ...ends.map(end => feature("Point", end))]});
  };
  state.clear = () => Object.assign(state, {places: [], way: null, features: []});
  return state;
}

return {load, nearest, shortest, told, addTo, widthOf, collection, COLORS, Finder};
})();
