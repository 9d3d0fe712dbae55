"""portraitd: a self-hosted portrait service that speaks DashScope's FaceChain API."""

__version__ = "0.1.0"
