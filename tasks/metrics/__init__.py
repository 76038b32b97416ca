"""Scoring rules: how predictions are compared with gold, one module a kind."""
