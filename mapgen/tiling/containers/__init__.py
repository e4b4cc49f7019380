"""What holds tiles: PMTiles, MBTiles, folders."""
