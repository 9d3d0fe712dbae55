"""The HTTP edge: the outside world's words, and the only place that speaks them."""
