"""Looking inside a `Transparent` listener: what its states hold, and which of them decide."""
