// The panel: what is shown, the classes with share and area, what changed, and what is known of the map.
"use strict";
(page => {
const {data, find, element, state, comparing, area, share} = page;

// Whether a class that both sides have is called and coloured alike in both; if not, each side gets a legend of its own.
const legends = (() => {
  const known = new Map();
  const alike = data.sides.every(side => side.classes.every(c => {
    const other = known.get(c.id) || c;
    known.set(c.id, other);
    return other.name === c.name && other.color.toLowerCase() === c.color.toLowerCase();
  }));
  return alike ? [data.sides] : data.sides.map(s => [s]);
})();
const alike = legends.length === 1;
const unlike = (a, b) => alike ? a.id !== b.id : a.name.toLowerCase() !== b.name.toLowerCase();

function swatchOf(color) {
  const swatch = element("span", {className: "swatch"});
  swatch.style.background = color;
  return swatch;
}

const boxes = [];  // {sides, id, box} of every row of classes

function setHidden(wanted) {
  for (const {sides, id, box} of boxes) {
    box.checked = wanted(sides, id);
    for (const side of sides) state.hidden[data.sides.indexOf(side)][box.checked ? "delete" : "add"](id);
  }
  changed();
}

function changed() {
  page.link({hide: [...new Set(state.hidden.flatMap(set => [...set]))].sort((a, b) => a - b).join(",")});
  page.recolor();
}

const isOnly = (sides, id) => boxes.every(b => b.box.checked === (b.sides === sides && b.id === id));

function classRow(sides, c) {
  const own = sides.map(side => side.classes.find(o => o.id === c.id));
  const box = element("input", {type: "checkbox", checked: !sides.every(s => state.hidden[data.sides.indexOf(s)].has(c.id))});
  boxes.push({sides, id: c.id, box});
  box.addEventListener("change", () => {
    for (const side of sides) state.hidden[data.sides.indexOf(side)][box.checked ? "delete" : "add"](c.id);
    changed();
  });
  const only = element("button", {type: "button", className: "only", textContent: "only", title: `Only ${c.name}, and back`});
  only.setAttribute("aria-label", `Only ${c.name}`);
  only.addEventListener("click", () => isOnly(sides, c.id) ? setHidden(() => true) : setHidden((s, id) => s === sides && id === c.id));
  const label = element("label", {}, box, swatchOf(c.color), element("span", {className: "what", textContent: c.name}));
  const cells = own.flatMap(o => [
    ...(comparing ? [] : [element("td", {className: "area", textContent: o && o.share !== null ? share(o.share) : ""})]),
    element("td", {className: "area", textContent: o && o.area !== null ? area(o.area) : sides.length > 1 ? "–" : ""}),
  ]);
  return element("tr", {}, element("td", {}, label), ...cells, element("td", {}, only));
}

function totalRow(sides) {
  const sums = sides.map(side => side.classes.reduce((sum, c) => sum + (c.area || 0), 0));
  if (!sums.some(Boolean)) return [];
  const cells = sums.flatMap(sum => [...(comparing ? [] : [element("td", {className: "area"})]), element("td", {className: "area", textContent: sum ? area(sum) : ""})]);
  return [element("tr", {className: "sum"}, element("td", {textContent: "Total"}), ...cells, element("td"))];
}

function legendOf(sides) {
  const known = new Map();
  for (const side of sides) for (const c of side.classes) if (!known.has(c.id)) known.set(c.id, c);
  const titles = comparing ? sides.map(s => s.title) : ["Share", "Area"];
  const head = element("tr", {}, element("th", {scope: "col", textContent: "Class"}),
    ...titles.map(text => element("th", {scope: "col", className: "area side", textContent: text, title: text})), element("td"));
  return element("table", {}, element("thead", {}, head),
    element("tbody", {}, ...[...known.values()].map(c => classRow(sides, c)), ...totalRow(sides)));
}

// --- what became of what ---

const ROWS = 12;

function changeRow({from, to, area: size}) {
  const [a, b] = [data.sides[0].classes.find(c => c.id === from), data.sides[1].classes.find(c => c.id === to)];
  if (!a || !b) return null;
  const button = element("button", {type: "button", className: "change", title: "Show this change alone, and all again"},
    swatchOf(a.color), `${a.name} → `, swatchOf(b.color), b.name);
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    const on = !(state.change && state.change.from === from && state.change.to === to);
    state.change = on ? {from, to} : null;
    for (const other of find("changes").querySelectorAll(".change")) other.setAttribute("aria-pressed", String(on && other === button));
    if (on) show("changes", true);
    page.recolor();
  });
  return element("tr", {}, element("td", {}, button), element("td", {className: "area", textContent: area(size)}));
}

function buildChanges() {
  const {changes} = data;
  if (!changes) return;
  const sum = changes.rows.reduce((total, row) => total + row.area, 0);
  const text = changes.rows.length ? `${share(sum / changes.total)} of the ground that both show differs: ${area(sum)}.` : "The two maps are alike.";
  const rest = changes.rows.slice(ROWS);
  const rows = changes.rows.slice(0, ROWS).map(changeRow).filter(Boolean);
  if (rest.length) rows.push(element("tr", {}, element("td", {textContent: `${rest.length} more`}), element("td", {className: "area", textContent: area(rest.reduce((t, r) => t + r.area, 0))})));
  find("changes").append(element("p", {textContent: text}), element("table", {}, element("tbody", {}, ...rows)));
  find("changes").hidden = false;
}

// --- the panel ---

const toggles = {};
function show(part, on) {
  state.off[on ? "delete" : "add"](part);
  if (toggles[part]) toggles[part].checked = on;
  page.link({off: [...state.off].join(",")});
  page.settleAll();
}

function buildPanel() {
  find("title").textContent = data.title;
  const parts = {basemap: "Base map", imagery: "Imagery", raster: "Class map", vector: data.sides.every(s => s.raster) ? "Outlines" : "Polygons",
    roads: "Roads", confidence: "Confidence", changes: "Differences"};
  for (const [part, text] of Object.entries(parts)) {
    if (!(data[part] || data.sides.some(s => s[part]))) continue;
    const box = toggles[part] = element("input", {type: "checkbox", checked: !state.off.has(part)});
    box.addEventListener("change", () => show(part, box.checked));
    find("layers").append(element("label", {}, box, element("span", {className: "what", textContent: text})));
  }
  find("classes").append(...legends.map(legendOf));
  find("classes").hidden = !data.sides.some(s => s.classes.length);
  find("opacity").value = Math.round(100 * state.opacity);
  find("opacity-row").hidden = !data.sides.some(s => s.raster || s.vector);
  buildChanges();
  const notes = [...data.sides.map(s => s.note), ...data.sides.flatMap(s => s.missing)].filter(Boolean);
  find("missing").append(...notes.map(text => element("li", {textContent: text})));
  find("missing").hidden = !notes.length;
  find("about").append(...data.about.map(text => element("p", {textContent: text})));
  find("way").hidden = !page.networks.some(Boolean);
  find("swipe").hidden = !comparing && !(data.sides[0].imagery && (data.sides[0].raster || data.sides[0].vector));
}

find("opacity").addEventListener("input", () => {
  state.opacity = find("opacity").value / 100;
  page.settleAll();
});
find("opacity").addEventListener("change", () => page.link({opacity: find("opacity").value}));

function fold(folded) {
  find("contents").hidden = folded;
  find("fold").textContent = folded ? "+" : "−";
  find("fold").setAttribute("aria-expanded", String(!folded));
}
find("fold").addEventListener("click", () => fold(!find("contents").hidden));

Object.assign(page, {unlike, buildPanel, fold, show});
})(window.mapgenPage);
