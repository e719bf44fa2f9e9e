"""LIME: lexically identical, multi-emotion speech. Scenario -> sentence -> voice -> prosody -> dataset folder."""
