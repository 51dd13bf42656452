"""The one door to Docker and buildx; nothing else in matrix starts a process."""
