"""cogviz: does an audio language model listen to *how* something is said, or only to *what* is said?"""

__version__ = "0.1.0"
