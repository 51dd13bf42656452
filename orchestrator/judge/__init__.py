"""What stored runs say: why cells are as they are, which claims hold, what to take, what changed, which limits are kept. Pure."""
