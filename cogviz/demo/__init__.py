"""The demo: a page on which anybody can hear a sentence in seven emotions and see what the models hear. `cogviz demo` starts it.

`texts` is all that a reader reads, `sounds` what is heard, `session` what is asked of the models, `view` and `tabs` the page, `serve` the server.
"""
