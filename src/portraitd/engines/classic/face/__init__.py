"""What is in one picture of a face: its mesh drawn, its light, its skin and beard, and what lies over it.

Knows nothing of whose face it is, nor what is to be done with it.
"""
