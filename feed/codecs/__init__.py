"""Messages of a topic: what a codec makes of a tape, and a tape of bytes."""
