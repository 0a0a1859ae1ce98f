"""Tests in the lab: real hosts, real daemons; they need root."""
