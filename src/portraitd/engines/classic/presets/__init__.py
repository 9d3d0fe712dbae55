"""Portraits in the service's own styles: the person cut out, framed, lit, and laid before a backdrop."""
