"""What pipelines import or call: the `gold://` file system."""
