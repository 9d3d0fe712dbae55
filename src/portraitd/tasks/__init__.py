"""How work survives: states and moves (life), delivery (queue), who is alive (executors), who does it (worker)."""
