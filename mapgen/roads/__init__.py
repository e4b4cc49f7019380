"""Roads: from a class map to a network that a router can use, and the way over it."""
