"""Models: the card, the file, the network and the engines that run it."""
