"""Every figure. Functions take results (utterances, answers, tables), never a model, and return a matplotlib Figure.

`theme` is the one look: `with theme.use(dark=True): ...` draws on a dark page, `theme.save` and `theme.svg` write figures.
"""
