// The maps of the page: one, or two that follow each other with a line between them that can be moved.
"use strict";
(page => {
const {data, find, state, comparing, maps} = page;

const bounds = data.sides.map(s => s.bounds).reduce((a, b) =>
  [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])]);
const narrow = () => innerWidth <= 700;

// The map lies beside the panel, or above the folded sheet of a phone.
function fitting() {
  const panel = find("panel").getBoundingClientRect(), open = !find("contents").hidden;
  if (narrow()) return {padding: {top: 50, left: 20, right: 20, bottom: Math.min(panel.height, innerHeight / 2) + 20}, animate: false};
  return {padding: {top: 30, bottom: 50, left: 50, right: open ? innerWidth - panel.left + 20 : 30}, animate: false};
}

function newMap(container, number, onlyImagery) {
  const map = new maplibregl.Map({container, style: page.styleOf(number, onlyImagery), bounds, fitBoundsOptions: fitting(),
    attributionControl: false, fadeDuration: 0, maxZoom: 24, dragRotate: false, pitchWithRotate: false,
    hash: maps.length ? false : "map"});
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  const canvas = map.getCanvas();
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Map: arrows move it, plus and minus zoom, Enter tells what lies in its middle");
  map.on("error", event => page.fail(event.error));
  const one = {map, number, onlyImagery, idle: new Promise(done => map.once("idle", () => done(true)))};
  one.loaded = one.idle.then(() => page.loadVector(one)).then(() => true).catch(page.fail);
  map.on("style.load", () => page.settle(one));
  map.on("move", () => follow(one));
  page.watch(one);
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

// --- the swipe ---

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
find("swipe").addEventListener("click", () => setSwipe(!state.swipe));
find("fit").addEventListener("click", () => maps[0].map.fitBounds(bounds, fitting()));

Object.assign(page, {newMap, fitting, swipeTo, setSwipe, narrow});
})(window.mapgenPage);
