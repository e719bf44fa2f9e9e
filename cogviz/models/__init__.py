"""CogAudio: audio encoder -> connector -> language model, as ordinary transformers classes."""
