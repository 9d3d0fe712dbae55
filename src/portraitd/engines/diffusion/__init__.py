"""Portraits painted by a diffusion model. The only room that may import torch."""
