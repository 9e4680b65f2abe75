"""What the benchmark scripts share: corpora, measuring, peers, results."""
