"""Legends: what the class ids of a class map mean and how they are drawn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NODATA = 255
"""The value of a class map where nothing is known. Every other value is a class."""

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Class:
    """One class: `id` 0…254, a name, a colour as `#rrggbb`; a `background` class is not emitted as polygons."""

    id: int
    name: str
    color: str
    background: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.id < NODATA:
            raise ValueError(f"class id {self.id} is outside 0…254")
        if not _COLOR.fullmatch(self.color):
            raise ValueError(f"colour {self.color!r} of class {self.name!r} is not of the form #rrggbb")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green, blue, 0…255."""
        return int(self.color[1:3], 16), int(self.color[3:5], 16), int(self.color[5:7], 16)


@dataclass(frozen=True, slots=True)
class Legend:
    """Classes in the order of the model's output channels; ids and names are unique."""

    classes: tuple[Class, ...]

    def __post_init__(self) -> None:
        for what, values in (("id", [str(i) for i in self.ids]), ("name", list(self.names))):
            twice = sorted(v for v in values if values.count(v) > 1)
            if twice:
                raise ValueError(f"class {what} {twice[0]} occurs twice")

    def __iter__(self) -> Iterator[Class]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def ids(self) -> tuple[int, ...]:
        """Class ids, in the order of the output channels."""
        return tuple(c.id for c in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, in the order of the output channels."""
        return tuple(c.name for c in self.classes)

    def find(self, key: str | int) -> Class:
        """The class with this name (any case) or id, as people type it; `KeyError` if there is none."""
        for c in self.classes:
            if str(key).strip().casefold() in (c.name.casefold(), str(c.id)):
                return c
        raise KeyError(key)

    def to_json(self) -> list[dict[str, Any]]:
        """A list of plain dictionaries, `background` only where it is true."""
        return [
            {"id": c.id, "name": c.name, "color": c.color} | ({"background": True} if c.background else {})
            for c in self.classes
        ]

    @classmethod
    def from_json(cls, entries: Iterable[Mapping[str, Any]]) -> Legend:
        """The legend of `to_json`; raises `ValueError`, `KeyError` or `TypeError` where an entry is not a class."""
        return cls(
            tuple(
                Class(int(e["id"]), str(e["name"]), str(e["color"]), bool(e.get("background", False))) for e in entries
            )
        )


PALETTE = (
    "#e41a1c", "#377eb8", "#4daf4a", "#984ea3", "#ff7f00", "#ffff33", "#a65628", "#f781bf",
    "#66c2a5", "#fc8d62", "#8da0cb", "#e78ac3", "#a6d854", "#ffd92f", "#e5c494", "#b3b3b3",
)  # fmt: skip
"""Colours for classes that bring none: ColorBrewer's Set1 and Set2 (Cynthia Brewer, Apache-2.0)."""


def numbered(ids: Iterable[int]) -> Legend:
    """A legend for bare class ids: the numbers as names, colours from the palette."""
    return Legend(tuple(Class(i, str(i), color_of(i)) for i in sorted(set(ids))))


def color_of(number: int) -> str:
    """The colour of what has none of its own."""
    return PALETTE[number % len(PALETTE)]


NAMED = {
    "#4a90c8": "water sea lake river pond ocean wasser gewässer see fluss eau lac rivière agua río água rio acqua fiume"
    " вода река 水 水体",
    "#5a9e4b": "vegetation green plant plants grünfläche végétation vegetación vegetação vegetazione"
    " растительность 植被",
    "#2e6b34": "forest tree trees wood woods canopy wald baum bäume forêt arbre arbres bosque árbol floresta foresta"
    " bosco лес дерево 森林 树",
    "#9ccb6b": "grass lawn meadow pasture grassland wiese rasen herbe prairie hierba pasto grama prato трава луг 草地",
    "#d9c46a": "field crop crops farmland agriculture cropland acker feld champ cultivo campo lavoura поле 农田",
    "#c0504d": "building buildings house houses roof roofs gebäude haus dach bâtiment maison toit edificio edificios"
    " casa edifício здание дом 建筑 建筑物",
    "#6b6b73": "road roads street streets highway pavement asphalt straße strasse weg route rue carretera calle estrada"
    " rua strada дорога улица 道路",
    "#e8d9b0": "land soil ground bare barren boden sol suelo solo suolo terrain terreno почва земля 土地 裸地",
    "#f0d48c": "sand beach desert dune strand plage sable arena playa areia praia sabbia песок пляж 沙地",
    "#e6f0f5": "snow ice glacier schnee eis neige glace nieve hielo neve gelo снег лёд 雪",
    "#7c9c96": "wetland marsh swamp mangrove moor sumpf marais humedal pântano palude болото 湿地",
    "#a08d7d": "rock rocks cliff fels stein roche roca rocha roccia скала камень 岩石",
    "#4b4b57": "railway rail railroad bahn gleis ferrovia ferrocarril железная 铁路",
    "#8a5fb0": "car cars vehicle vehicles auto fahrzeug voiture coche carro машина 汽车",
    "#39c6d6": "pool pools swimmingpool schwimmbad piscine piscina бассейн 泳池",
    "#b8b8b8": "background other others unknown clutter hintergrund sonstiges autre otro outro altro фон прочее"
    " 其他 背景",
    "#1f3b73": "solar photovoltaic panel solaire фотоэлектрический 光伏",
    "#d88c3c": "industrial industry industrie industria индустрия 工业",
    "#f5f5f5": "cloud clouds wolke nuage nube nuvem nuvola облако 云",
    "#3a3a4a": "shadow shadows schatten ombre sombra ombra тень 阴影",
}
"""Colours that people expect of a class, and the words that name it, in some languages of the tags that maps have."""

_EXPECTED = {word: color for color, words in NAMED.items() for word in words.split()}


def expected_color(name: str) -> str | None:
    """The colour that people expect of a class of this name: that of its last word that has one."""
    words = re.findall(r"[^\W\d_]+", name.casefold())
    return next((_EXPECTED[word] for word in reversed(words) if word in _EXPECTED), None)


def colors_of(names: Mapping[int, str], taken: Iterable[str] = ()) -> dict[int, str]:
    """A colour for the class of each id: the expected one, unless another has it, else one of the palette.

    Law: all differ, and from those `taken`, as long as the palette lasts.
    """
    used, found = {color.lower() for color in taken}, dict[int, str]()
    for number, name in names.items():
        color = expected_color(name)
        if color is not None and color not in used:
            found[number] = color
            used.add(color)
    for number in names:
        if number not in found:
            turned = (color_of(number + turn) for turn in range(len(PALETTE)))
            found[number] = next((color for color in turned if color not in used), color_of(number))
            used.add(found[number])
    return {number: found[number] for number in names}


BUILTIN = Legend(
    (
        Class(1, "building", "#c0504d"),
        Class(2, "land", "#e8d9b0"),
        Class(3, "road", "#6b6b73"),
        Class(4, "vegetation", "#5a9e4b"),
        Class(5, "water", "#4a90c8"),
    )
)
"""The classes of the built-in models."""


@dataclass(frozen=True, slots=True)
class LayerClass:
    """One class of a layer: any integer as id, a name, a colour `#rrggbb`."""

    id: int
    name: str
    color: str
