// The page beside a folder of tiles: its style, with the tiles' addresses made whole, since MapLibre does not do that.
"use strict";
(() => {
const style = JSON.parse(document.getElementById("data").textContent);
const here = location.href.split(/[?#]/)[0].replace(/[^/]*$/, "");
for (const source of Object.values(style.sources))
  source.tiles = source.tiles.map(tiles => /^[a-z]+:/i.test(tiles) ? tiles : here + tiles);
const errors = [];

function say(text) {
  const place = document.getElementById("say");
  place.textContent = text;
  place.hidden = false;
}

const list = document.getElementById("classes");
for (const one of style.metadata.classes) {
  const swatch = document.createElement("span");
  swatch.style.background = one.color;
  const item = document.createElement("li");
  item.append(swatch, one.name);
  list.append(item);
}
list.hidden = !style.metadata.classes.length;
if (location.protocol === "file:")
  say("Browsers read no tiles from a plain file. Serve this folder, such as with: python -m http.server");
const [west, south, east, north] = Object.values(style.sources)[0].bounds;
const map = new maplibregl.Map({container: "map", style, bounds: [[west, south], [east, north]],
  fitBoundsOptions: {padding: 20, animate: false}, fadeDuration: 0});
map.addControl(new maplibregl.NavigationControl({showCompass: false}), "top-left");
map.on("error", event => {
  const text = String((event.error && event.error.message) || event.error);
  if (event.error && event.error.status === 404) return; // where there is nothing to show there is no tile
  errors.push(text);
  say(text);
});
window.mapgenTiles = {map, errors, idle: new Promise(done => map.once("idle", () => done(true)))};
})();
