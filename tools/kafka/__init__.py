"""A real Apache Kafka on this machine, for the tests, and for a user by `make kafka`."""
