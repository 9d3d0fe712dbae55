"""Backdrops, painted in linear light and blurred as a lens would."""
