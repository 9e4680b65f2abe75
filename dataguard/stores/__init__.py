"""Where bytes are: source trees, manifests, sheets and workspace files."""
