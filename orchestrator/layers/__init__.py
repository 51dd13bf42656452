"""What image layers hold: bytes in, values out; nothing here knows Docker, and nothing is unpacked to disk."""
