"""Maps of what a listener's states are near to: by the voice's emotion, the words', the sentence, or who speaks."""
