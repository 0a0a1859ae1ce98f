"""Measurements in the lab, beside what people use instead: ``python -m lab.bench``."""
