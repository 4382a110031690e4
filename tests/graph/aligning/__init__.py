"""A second judge for the tests: it aligns a network with the paper's, which it builds itself."""
