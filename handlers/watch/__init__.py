"""The watcher: what it knows, the engines it reports to, and the page that shows it."""
