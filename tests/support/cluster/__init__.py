"""Hosts of namespaces, and clusters of Ray on them or on this machine."""
