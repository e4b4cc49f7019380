"""Files: written safely, opened with care, told apart by their content."""
