"""What is published, built and tried as a user installs it; `scripts/test --all` runs these."""
