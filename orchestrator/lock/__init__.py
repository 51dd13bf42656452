"""matrix.lock: what it holds, how it reads, what has moved since, and what a plan becomes with it."""
