"""One face in one picture: its mesh drawn, its light, its skin and beard, what lies over it, and how it moves.

Knows neither who somebody is nor what a template is: one face, or two faces beside each other, are all it is told.
"""
