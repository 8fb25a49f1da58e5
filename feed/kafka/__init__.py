"""Quotes in Kafka: replay them into a topic, find replays there, and read one."""
