"""The engines that the watcher reports to, one file each."""
