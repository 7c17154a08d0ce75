"""Words -> what is meant. No torch, no CT."""
