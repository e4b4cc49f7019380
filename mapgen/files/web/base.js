// What all scripts of the page share: its data, its state, and how texts and numbers are shown.
"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const find = id => document.getElementById(id);
const errors = [];

// Everything that is shown as text is set as text: names come from files of others.
function element(name, options = {}, ...children) {
  const made = Object.assign(document.createElement(name), options);
  made.append(...children);
  return made;
}

function fail(error) {
  if (error && error.name === "AbortError") return;
  const text = String((error && error.message) || error);
  errors.push(text);
  find("failure-text").textContent = text;
  find("failure").hidden = false;
}
find("dismiss").addEventListener("click", () => { find("failure").hidden = true; });

// --- numbers as people write them ---

// To three digits; hundreds and more to the whole unit.
const figures = value => value >= 100 ? value.toLocaleString("en", {maximumFractionDigits: 0}) : value.toPrecision(3);
const scaled = (value, unit) => `${value === 0 ? "0" : figures(value)} ${unit}`;
function area(squareMetres) {
  if (squareMetres >= 1e8) return scaled(squareMetres / 1e6, "km²");
  return squareMetres >= 1e4 ? scaled(squareMetres / 1e4, "ha") : scaled(squareMetres, "m²");
}
const length = metres => metres >= 1000 ? scaled(metres / 1000, "km") : scaled(metres, "m");
const share = part => part > 0 && part < 0.001 ? "< 0.1 %" : `${(100 * part).toFixed(1)} %`;
const place = ({lng, lat}) => `${Math.abs(lat).toFixed(5)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lng).toFixed(5)}° ${lng < 0 ? "W" : "E"}`;

// --- what the address keeps beside the place: #map=zoom/lat/lng&hide=1,2&off=imagery ---

const linked = () => new URLSearchParams(location.hash.slice(1));
function link(changes) {
  const kept = linked();
  for (const [key, value] of Object.entries(changes)) value ? kept.set(key, value) : kept.delete(key);
  const text = [...kept].map(([key, value]) => `${key}=${encodeURIComponent(value).replace(/%2F/g, "/").replace(/%2C/g, ",")}`).join("&");
  try { history.replaceState(history.state, "", text ? `#${text}` : location.pathname + location.search); } catch { /* not from every kind of address */ }
}

function stored(key, value) {
  try { return value === undefined ? localStorage.getItem(`mapgen ${key}`) : localStorage.setItem(`mapgen ${key}`, value); } catch { return null; }
}

const comparing = data.sides.length > 1;
const first = linked();
const listed = key => (first.get(key) || "").split(",").filter(Boolean);
const raster = data.sides.every(side => side.raster);
const state = {
  hidden: data.sides.map(side => new Set(side.classes.map(c => c.id).filter(id => listed("hide").includes(String(id))))),
  off: new Set(first.has("off") ? listed("off") : [...(raster ? ["vector"] : []), "confidence", "changes"]),
  opacity: Number(first.get("opacity") || 60) / 100, swipe: false, mode: "", at: 50, change: null,
};

window.mapgenPage = {data, find, element, fail, errors, state, comparing, maps: [], area, length, share, place, link, linked, stored};
})();
