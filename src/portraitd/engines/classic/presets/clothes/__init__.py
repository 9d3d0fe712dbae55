"""Formal clothes, drawn for who wears none in the photo: where they go, how they are cut, how cloth looks."""
