"""How good a map is: counts, scores, intervals."""
