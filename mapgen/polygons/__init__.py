"""Polygons of a class raster, in pixels: regions, arcs, rings; simplified and smoothed without gaps. No files."""
