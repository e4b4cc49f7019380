"""What QGIS makes of files, as JSON: the kind of the renderer and its labels; of a style the colours it fills with.

Runs in the Python that QGIS is built for: QT_QPA_PLATFORM=offscreen /usr/bin/python3 .ci/in_qgis.py FILE...
"""

import json
import sys

from qgis.core import QgsApplication, QgsMapBoxGlStyleConverter, QgsRasterLayer, QgsVectorLayer


def of_raster(path):
    layer = QgsRasterLayer(path, "a")
    renderer = layer.renderer()
    labels = [c.label for c in renderer.classes()] if renderer.type() == "paletted" else []
    return renderer.type(), labels


def of_layer(path):
    layer = QgsVectorLayer(path, "a", "ogr")
    if not layer.isValid():
        return "not valid", []
    renderer = layer.renderer()
    labels = [c.label() for c in renderer.categories()] if renderer.type() == "categorizedSymbol" else []
    return renderer.type(), labels


def of_style(path):
    converter = QgsMapBoxGlStyleConverter()
    with open(path, encoding="utf-8") as stream:
        converter.convert(json.load(stream))
    found = []
    for style in converter.renderer().styles():
        for symbol in style.symbol().symbolLayers():
            properties = symbol.dataDefinedProperties()
            found += [properties.property(key).asExpression() for key in properties.propertyKeys()]
    return " ".join(found)


application = QgsApplication([], False)
application.initQgis()
kinds = {".tif": of_raster, ".json": of_style}
answers = {path: kinds.get(path[path.rindex("."):], of_layer)(path) for path in sys.argv[1:]}
print(json.dumps(answers))
sys.stdout.flush()
application.exitQgis()
