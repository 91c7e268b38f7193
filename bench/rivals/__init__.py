"""Fletching beside what a user would pick instead, in turns on the same data: see run_rivals.py."""
