"""What the project runs beside its packages."""
