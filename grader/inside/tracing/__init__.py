"""What the stage `trace` is made of."""
