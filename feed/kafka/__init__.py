"""Quotes in Kafka: replayed into a topic, found there, and read once."""
