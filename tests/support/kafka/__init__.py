"""Topics that are odd, brokers that ask who one is."""
