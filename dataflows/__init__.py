"""Hamilton nodes: the only floor that knows Hamilton."""
