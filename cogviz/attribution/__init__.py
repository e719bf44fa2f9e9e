"""Which sound, which word and which part of the instruction an answer comes from, and how far each method of saying so can be trusted."""
