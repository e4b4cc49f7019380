"""The two ends of the longest road of a network, as `mapgen route` takes them: python ends.py NET."""

import sys

import pyogrio

edges = pyogrio.read_dataframe(sys.argv[1], layer="edges")
line = edges.geometry.iloc[edges["length_m"].argmax()]
print(*(f"{x},{y}" for x, y in (line.coords[0], line.coords[-1])))
