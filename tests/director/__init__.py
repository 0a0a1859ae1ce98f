"""The basket in the real Director, of each release of Debian; `scripts/test --all` runs these."""
