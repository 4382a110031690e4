"""From trace records to the paper's vocabulary: canonical graph, DenseNet reading, comparison."""
