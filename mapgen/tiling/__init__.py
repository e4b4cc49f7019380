"""Map tiles, raster and vector, and their containers."""
