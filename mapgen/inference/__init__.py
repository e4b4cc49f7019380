"""From a scene to a class map: windows, stitching, deciding."""
