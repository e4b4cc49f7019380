// The page begins: its theme, then its maps; a picture where the browser has no WebGL.
"use strict";
(page => {
const {data, find, element, state} = page;

const root = document.documentElement;
const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
const nameTheme = () => { find("theme").textContent = dark() ? "Light" : "Dark"; };
find("theme").addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
  page.stored("theme", root.dataset.theme);
  nameTheme();
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);

function canDraw() {
  const context = document.createElement("canvas").getContext("webgl2");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return Boolean(context);
}

// The map as a picture, with its legend in it, and why it is one.
async function showPicture(why) {
  const parts = [element("p", {textContent: why})];
  if (data.still) {
    const url = data.inlined ? URL.createObjectURL(await (await page.content(data.still)).blob()) : data.still;
    parts.unshift(element("img", {src: url, alt: `${data.title}: ${data.sides[0].classes.map(c => c.name).join(", ")}`}));
  }
  find("stage").replaceChildren(element("div", {id: "still"}, ...parts));
  for (const id of ["layers", "opacity-row", "buttons"]) find(id).hidden = true;
}

async function begin() {
  const theme = page.stored("theme");
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  nameTheme();
  page.fold(page.narrow());
  await page.loadNetworks();
  page.buildPanel();
  if (!canDraw()) return showPicture("This browser has no WebGL, which the map that moves needs: here is a picture of it.");
  if (location.protocol === "file:" && !data.inlined)
    return showPicture("Browsers read no tiles from a plain file. Serve this folder, such as with: python -m http.server");
  const first = page.newMap("below", 0, false);
  first.map.addControl(new maplibregl.NavigationControl({showCompass: false}), "top-left");
  first.map.addControl(new maplibregl.ScaleControl({maxWidth: 140}), "bottom-left");
  if (page.comparing) page.setSwipe(true);
  if (data.way) page.showGiven(data.way, first.map);
}
page.begun = begin().catch(page.fail);
})(window.mapgenPage);
