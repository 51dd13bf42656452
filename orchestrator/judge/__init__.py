"""A run's record to a judgement: which claims hold, and which value to take. Pure."""
