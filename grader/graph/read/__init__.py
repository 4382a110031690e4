"""From a traced op graph to the canonical graph: reader.py walks, the other modules hold rules."""
