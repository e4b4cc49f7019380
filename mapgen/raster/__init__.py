"""Rasters: scenes, class maps, their grids, legends and windows."""
