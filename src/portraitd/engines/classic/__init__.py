"""The CPU engine: identity model, pose, light, blend, backdrop, grade."""
