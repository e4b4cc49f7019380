"""What is made of a map: results of a run, page, pictures, metadata."""
