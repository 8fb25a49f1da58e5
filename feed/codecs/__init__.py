"""Messages of a topic: codecs that turn a tape into messages, and messages into a tape."""
