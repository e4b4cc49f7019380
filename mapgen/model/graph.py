"""OpenVINO's intermediate representation as text: what of it a model file may hold.

A graph is XML beside one block of numbers. OpenVINO reads it in C++ that trusts its input, so the XML of a file is
never handed on: it is checked against the short list below and written anew.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from mapgen.errors import ModelError, one_line
from mapgen.model.card import ModelCard

TEXT_LIMIT = 32_000_000
"""Bytes of XML; the largest networks of segmentation_models_pytorch take 3 MB."""

LAYER_LIMIT = 10_000

CONSTANT_LIMIT = 1 << 24
"""Bytes that constants may claim beyond eight times the block of numbers: layers may share numbers, within reason."""

_LAYERS = (
    "Abs AdaptiveAvgPool AdaptiveMaxPool Add AvgPool BatchNormInference Broadcast Ceiling Clamp Concat Const Convert "
    "Convolution ConvolutionBackpropData DepthToSpace Divide Elu Equal Erf Exp FakeQuantize Floor Gather Gelu Greater "
    "GreaterEqual GroupConvolution GroupConvolutionBackpropData GroupNormalization HSigmoid HSwish HardSigmoid "
    "Interpolate Less LessEqual Log LogicalAnd LogicalNot LogicalOr MVN MatMul MaxPool Maximum Minimum Mish Multiply "
    "Negative NotEqual Pad Parameter Power PReLU Range ReLU ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSum Reshape Result ScaledDotProductAttention Select Selu ShapeOf Sigmoid Slice SoftMax SoftPlus "
    "SpaceToDepth Split Sqrt SquaredDifference Squeeze StridedSlice Subtract Swish Tanh Tile TopK Transpose Unsqueeze "
    "VariadicSplit"
)
LAYERS = frozenset(_LAYERS.split())
"""What image networks are made of. None of them holds another graph, keeps a state, names a file or loops."""

_ITEM_BITS = {
    "f64": 64, "f32": 32, "f16": 16, "bf16": 16, "i64": 64, "i32": 32, "i16": 16, "i8": 8, "u64": 64, "u32": 32,
    "u16": 16, "u8": 8, "i4": 4, "u4": 4, "boolean": 8,
}  # fmt: skip
_PLAIN = re.compile(r"[\w.,:?+\- ]*", re.ASCII)
_LONG = 2000


class NotAGraph(ValueError):
    """The text is not a graph of the kind that is read; says what is wrong with it."""


def canonical(text: bytes, numbers: int) -> bytes:
    """The graph of `text`, checked and written anew: layers, attributes, ports and edges, and nothing else.

    `numbers` is the size of the block that constants lie in. The graph has one input and one output, no cycle, known
    kinds of layers only, and constants inside the block; what it computes is not looked at. Applying it twice changes
    nothing. Raises `NotAGraph`.
    """
    root = _parsed(text)
    if root.tag != "net" or root.get("version") not in ("10", "11"):
        raise NotAGraph(f"a <{root.tag[:40]}> of version {str(root.get('version'))[:10]}, not a <net> of version 11")
    layers, edges = root.findall("layers/layer"), root.findall("edges/edge")
    if not 0 < len(layers) <= LAYER_LIMIT:
        raise NotAGraph(f"{len(layers)} layers, the limit is {LAYER_LIMIT}")
    net = ElementTree.Element("net", name="graph", version=root.attrib["version"])
    ports: dict[str, tuple[set[str], set[str]]] = {}
    claimed = 0
    parent = ElementTree.SubElement(net, "layers")
    for layer in layers:
        clean, inputs, outputs = _layer(layer)
        if clean.attrib["id"] in ports:
            raise NotAGraph(f"two layers with the id {clean.attrib['id']}")
        ports[clean.attrib["id"]] = inputs, outputs
        claimed += _constant(clean, numbers) if clean.attrib["type"] == "Const" else 0
        parent.append(clean)
    if claimed > 8 * numbers + CONSTANT_LIMIT:
        raise NotAGraph(f"constants of {claimed} bytes from a block of {numbers}")
    kinds = Counter(layer.attrib["type"] for layer in parent)
    if kinds["Parameter"] != 1 or kinds["Result"] != 1:
        raise NotAGraph(f"{kinds['Parameter']} inputs and {kinds['Result']} outputs, not one of each")
    net.append(_edges(edges, ports))
    result: bytes = ElementTree.tostring(net)
    return result


def constants(text: bytes) -> Iterator[tuple[str, int, int]]:
    """Element type, place and size in bytes of each constant of a canonical graph."""
    for data in _parsed(text).iterfind("layers/layer[@type='Const']/data"):
        yield data.get("element_type"), int(data.get("offset")), int(data.get("size"))


def _parsed(text: bytes) -> Any:
    """The root element. Nothing but elements and attributes is let in: entities could grow without bound."""
    if len(text) > TEXT_LIMIT:
        raise NotAGraph(f"{len(text)} bytes of XML, the limit is {TEXT_LIMIT}")
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(text, True)
        return builder.close()
    except (expat.ExpatError, AssertionError, ValueError) as exc:
        raise exc if isinstance(exc, NotAGraph) else NotAGraph(f"XML that cannot be read ({exc})") from exc


def _refuse_doctype(*_: object) -> None:
    raise NotAGraph("XML with a document type")


def _layer(layer: Any) -> tuple[Any, set[str], set[str]]:
    """The layer with its known parts alone, and the ids of its input and output ports."""
    kind = layer.get("type", "")
    if kind not in LAYERS or not re.fullmatch(r"opset\d{1,2}", layer.get("version", ""), re.ASCII):
        raise NotAGraph(f"a layer of type {kind[:40]!r} in {layer.get('version', '')[:40]!r}")
    clean = ElementTree.Element(
        "layer", id=_number(layer, "id"), name=_name(layer), type=kind, version=layer.attrib["version"]
    )
    children = Counter(child.tag for child in layer)
    strange = children.keys() - {"data", "input", "output", "rt_info"}
    if strange or max(children.values(), default=0) > 1:
        raise NotAGraph(f"a {kind} with the part {min(strange or children)[:40]!r}")
    data = layer.find("data")
    if data is not None:
        for name, value in data.attrib.items():
            if not (re.fullmatch(r"[\w-]{1,40}", name, re.ASCII) and _PLAIN.fullmatch(value) and len(value) <= _LONG):
                raise NotAGraph(f"a {kind} with {name[:40]} = {value[:40]!r}")
        if len(data):
            raise NotAGraph(f"a {kind} with parts in its data")
        ElementTree.SubElement(clean, "data", data.attrib)
    found: list[set[str]] = []
    for side in ("input", "output"):
        ids = [_number(port, "id") for port in layer.findall(f"{side}/port")]
        found.append(set(ids))
        if ids:
            place = ElementTree.SubElement(clean, side)
            for port in layer.findall(f"{side}/port"):
                attributes = {"id": port.attrib["id"]}
                precision = port.get("precision", "")
                if re.fullmatch(r"[A-Z]\w{0,8}", precision, re.ASCII):
                    attributes["precision"] = precision
                ElementTree.SubElement(place, "port", attributes)
        if len(found[-1]) != len(ids):
            raise NotAGraph(f"a {kind} with two ports of one id")
    return clean, found[0], found[1]


def _number(element: Any, name: str) -> str:
    text: str = element.get(name, "")
    if not re.fullmatch(r"0|[1-9]\d{0,8}", text, re.ASCII):
        raise NotAGraph(f"a <{element.tag[:40]}> with {name} = {text[:40]!r}")
    return text


def _name(layer: Any) -> str:
    """The layer's name: text only, but OpenVINO wants names that differ."""
    text: str = layer.get("name", "")
    if len(text) > _LONG or not text.isprintable():
        raise NotAGraph(f"a layer called {text[:40]!r}")
    return text


def _constant(layer: Any, numbers: int) -> int:
    """The bytes of a constant, which lie inside the block and are as many as its shape says."""
    data = layer.find("data")
    if data is None:
        raise NotAGraph("a constant without data")
    kind, shape = data.get("element_type", ""), data.get("shape", "")
    start, size = int(_number(data, "offset")), int(_number(data, "size"))
    if kind not in _ITEM_BITS:
        raise NotAGraph(f"a constant of {kind[:40]!r}")
    count = 1
    for side in filter(None, shape.replace(" ", "").split(",")):
        if not re.fullmatch(r"\d{1,9}", side, re.ASCII):
            raise NotAGraph(f"a constant of shape {shape[:40]!r}")
        count *= int(side)
    if size != (count * _ITEM_BITS[kind] + 7) // 8 or start + size > numbers:
        raise NotAGraph(f"a constant of {size} bytes at {start} in a block of {numbers}, its shape is [{shape[:40]}]")
    return size


def _edges(edges: list[Any], ports: dict[str, tuple[set[str], set[str]]]) -> Any:
    """The edges, each between ports that exist, each input fed once, without a cycle."""
    place = ElementTree.Element("edges")
    fed: set[tuple[str, str]] = set()
    following: dict[str, list[str]] = {layer: [] for layer in ports}
    waiting = Counter(dict.fromkeys(ports, 0))
    for edge in edges:
        names = ("from-layer", "from-port", "to-layer", "to-port")
        source, out, target, into = (_number(edge, name) for name in names)
        known = source in ports and target in ports and out in ports[source][1] and into in ports[target][0]
        if not known or (target, into) in fed:
            raise NotAGraph(f"an edge from {source}:{out} to {target}:{into}, which are not there or taken")
        fed.add((target, into))
        following[source].append(target)
        waiting[target] += 1
        ElementTree.SubElement(place, "edge", dict(zip(names, (source, out, target, into), strict=True)))
    if len(fed) != sum(len(inputs) for inputs, _ in ports.values()):
        raise NotAGraph("inputs of layers that no edge feeds")
    if sum(1 for _ in _in_order(following, waiting)) != len(ports):
        raise NotAGraph("layers in a circle")
    return place


def _in_order(following: dict[str, list[str]], waiting: Counter[str]) -> Iterator[str]:
    """The layers, each behind those that feed it (Kahn 1962); those on a circle and behind it are left out."""
    ready = [layer for layer, count in waiting.items() if not count]
    while ready:
        layer = ready.pop()
        yield layer
        for target in following[layer]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)


MOST_BYTES = 1 << 16
"""Bytes that all layers together may make of one pixel; networks of segmentation_models_pytorch make 500 to 5000."""

FIXED_BYTES = 64_000_000
"""Bytes that layers may make of constants alone, beyond four times the block of numbers, and that a row of numbers such
as a `Range` may take: neither grows with the window, so the limit of a pixel would let gigabytes through."""

_REMEDY = "do not use this file; recreate its graph"


def load_graph(core: Any, text: bytes, numbers: bytes, card: ModelCard, subject: str) -> Any:
    """The graph of `mapgen.model.file.read_graph` as OpenVINO's model: pixels (N, C, H, W) to scores (N, K, H, W).

    It is tried on one small window: the number of bands and classes, the size of the output, and how much memory its
    layers ask for, so that no graph can take a thousand times what a network needs. Raises `ModelError`.
    """
    bands, classes = len(card.bands), len(card.legend)
    side = max(8 * card.stride, -(-64 // card.stride) * card.stride)
    height, width = card.fixed_window or (side, side)
    try:
        model = core.read_model(text, numbers)
        model.reshape([1, bands, height, width])
        result = model.output().get_partial_shape()
        shape = list(model.output().shape) if result.is_static else []
        check_memory(model, len(numbers), height * width, subject)
        if card.fixed_window is None:
            model.reshape([-1, bands, -1, -1])
    except RuntimeError as exc:
        problem = f"its graph cannot be run on {bands} bands ({one_line(exc).strip()[-160:]})"
        raise ModelError(subject, problem, _REMEDY) from exc
    if shape != [1, classes, height, width]:
        problem = f"its graph makes {shape} of a window of {height} × {width}, not [1, {classes}, {height}, {width}]"
        raise ModelError(subject, problem, _REMEDY)
    return model


def check_memory(model: Any, numbers: int, pixels: int, subject: str) -> None:
    """Raise `ModelError` where the layers of OpenVINO's model, set up for one window of `pixels`, ask for far more
    memory than networks do. `numbers` are the bytes of its constants."""
    made, fixed = _made(model, numbers)
    if fixed > FIXED_BYTES:
        raise ModelError(subject, f"its graph takes {fixed} bytes whatever the window", _REMEDY)
    if made > MOST_BYTES * pixels:
        raise ModelError(subject, f"its graph takes {made // pixels} bytes a pixel", _REMEDY)


def _made(model: Any, numbers: int) -> tuple[int, int]:
    """Bytes of all that the layers make for the window; and of what does not grow with it: the longest row of numbers,
    or what is made of constants alone, less four times the block that those come from."""
    moved: set[str] = set()
    made = longest = fixed = 0
    for op in model.get_ordered_ops():
        if op.get_type_name() == "Parameter" or any(v.get_node().get_name() in moved for v in op.input_values()):
            moved.add(op.get_name())
        if op.get_type_name() in ("Constant", "Result"):
            continue
        sizes = [(len(out.shape), prod(out.shape) * out.get_element_type().bitwidth // 8) for out in op.outputs()]
        made += sum(size for _, size in sizes)
        fixed += 0 if op.get_name() in moved else sum(size for _, size in sizes)
        longest = max([longest, *(size for rank, size in sizes if rank == 1)])
    return made, max(longest, fixed - 4 * numbers)
