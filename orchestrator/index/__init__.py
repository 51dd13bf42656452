"""The door to the package index: resolving through uv, listing files, reading source archives."""
