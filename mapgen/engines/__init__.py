"""Running a model: pixels in, probabilities out."""
