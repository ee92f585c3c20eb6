"""Ibis in, Ibis out. This floor knows Ibis, and nothing of engines, Hamilton or loading."""
