"""The tabs, one a file: `build` makes the components and says what happens when one is touched."""
