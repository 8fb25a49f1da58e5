"""What a sweep takes, in time, memory and money, before it is run."""
