"""The page: what the watcher knows, for a browser and for Prometheus."""
