"""A run's record to a judgement: why cells are as they are, which claims hold, and which value to take. Pure."""
