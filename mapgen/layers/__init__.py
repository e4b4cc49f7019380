"""Layers: polygons on the ground, read and written in the formats of GIS."""
