"""Every text of the demo, so that it can be translated in one place."""

from __future__ import annotations

TITLE = "How you say it, or only what you say?"
LEAD = (
    "Say the same words in seven emotions, and two small audio language models answer. One mostly reads the words; "
    "the other was trained to hear the voice. Press the button and compare."
)
WINDOW = "cogviz: does the model hear the voice?"

MODELS = {
    "baseline": "trained as audio language models usually are",
    "explicit": "trained to think aloud about voice and words",
    "implicit": "trained to reply with and without thinking aloud",
    "aligned": "trained to let its reply fit the voice",
}
"""What a variant is, by the end of its name."""

TABS = {"listen": "Listen", "conflict": "Conflict", "why": "Why", "compare": "Compare", "about": "About"}

SENTENCE = "Sentence (what its words say, and the words)"
WORDS_SAY = "{words}: {text}"
WORDS_SILENT = "nothing: {text}"
OWN = "Or use your own voice"
OWN_HELP = (
    "Say a sentence in a calm voice; the words stay, the tone is moved. Up to 30 s and 10 MB, WAV, FLAC, MP3, OGG or AIFF. "
    "It is heard in memory and not kept."
)
RECORDING = "Your recording"
VOICE = "Voice"
STRENGTH = "How strongly"
STRENGTHS = {"low": "a little", "mid": "as usual", "high": "strongly"}
HEAR = "Hear it, and ask both models"
HEARD = "What the models hear"
SEVEN = "Ask about all seven voices"
SEVEN_ABOUT = "The same words seven times. Which model follows the voice?"
SEVEN_SAID = "{model} names the voice in {right} of {of}."
SEVEN_NOTE = "One sentence, an example. The figures of the models are in the gauge above, on speech that they were not trained on."
EXAMPLES = "Try one of these"
EXAMPLE = "{words} words, {voice} voice"
LINK = "Copy a link to this"
LINKED = "Link copied. A recording of your own is not in it."
SAVE = "Save: figure, data, sound"
FILES = "Files"
NOTICE = "Note: {}."
EMPTY = "Nothing heard yet: choose a sentence and a voice, and press the button."
START = (
    "Press **{button}**.",
    "You hear sad words in an angry voice. Or choose other words, another voice, or use your own.",
    "Two models write what they hear, why, and what they would reply.",
    "A badge says whom each one followed: the words or the voice. A good listener follows the voice.",
)
"""What one sees before anything was asked, step by step."""

WORKING = "working …"

LISTEN_EXAMPLES = (
    ("sad", "angry", "high", "Sad words, angry voice"),
    ("angry", "surprise", "high", "Angry words, surprised voice"),
    ("disgust", "happy", "high", "Disgusted words, happy voice"),
    ("", "fear", "high", "Words that say nothing, frightened voice"),
)
"""Emotion of the words, of the voice, intensity, what the button says."""

CONFLICT_LEAD = "Words of one emotion in the voice of another. Move the slider: from where on does the model change its mind?"
CONFLICT_WORDS = "Words"
INTENSITY = "Intensity of the voice"
INTENSITY_HELP = "0 is a neutral reading, 1 what actors do when asked for the emotion, 1.5 when asked for it strongly."
CONFLICT_ASK = "Turn up the voice"
CONFLICT_EXAMPLES = (("sad", "angry"), ("fear", "surprise"), ("disgust", "happy"), ("surprise", "angry"))

WHY_LEAD = "Which sound of which word spoke for the answer, where the model looked, and which layer decided."
WHY_ASK = "Explain the answer"
WHY_MODEL = "Model"
WHY_PARTS = {
    "sound": "Which sound, by word",
    "looks": "Where it looks",
    "layers": "Which layer decides",
    "map": "Where it lies among the others",
}
WHY_NOTES = {
    "sound": "Rust speaks for the voice's emotion, teal against it. Integrated gradients against the neutral reading of the same sentence.",
    "looks": "Attention is where a model looks, and not what it uses. Of one recording.",
    "layers": "States of this recording are put into the neutral reading of the same words, layer by layer. Where the answer turns, the "
    "layer carries what decides. Of one pair, an example.",
    "map": "What the model's connector makes of the tone, in two dimensions. Neighbours mean something, axes do not.",
}

COMPARE_LEAD = "Two recordings to one model, one recording to two models, or both at once."
SIDES = ("First", "Second")
COMPARE_ASK = "Compare"
SOUND_OF_BOTH = "How they sound"
SOUND_KEY = "dotted: the first; coloured: the second"
WHY_NO_WORDS = "The model hears no words in this recording, so nothing can be told by word."

ABOUT = """
### What this is
An audio language model gets sound and answers in words. It can answer to *what* was said, or to *how* it was said. When the two
disagree (sad words in an angry voice) one sees which of them the model follows. That the words win is called **semantic dominance**; this
page lets you hear and see it.

**Listen** answers seven ways of saying one sentence. **Conflict** turns up the voice against the words. **Why** looks inside.
**Compare** sets two recordings or two models side by side.

Each answer has four steps before the response: *Perception* (what the voice sounds like, and the words), *Intent* (what the speaker
wants), *Psychology* (what they feel and why) and *Strategy* (how to answer).

### How the voices are made
The recording is taken apart into pitch, spectrum and breath (the WORLD vocoder), moved as real actors move their voices for an emotion, and put
together again. The words and their order stay. The voices on this page are synthetic, and so is the speech that the models were trained on.

### Limits
- The models are small (a few million weights) and were trained on synthetic English. They mishear words, and their replies are simple.
- One sentence is an example. The figures in the gauge are measurements, on sentences and speakers that no model was trained on, with
  95% intervals.
- Seven emotions are a convention. People do not fall into seven boxes, and a voice is no proof of a feeling: do not use this to judge anybody.
- A recording of your own is moved as if it were calm. If it is not, the result is a mixture.

### What happens to your recording
It is sent to the machine that runs this page, and nowhere else. Its file is deleted within minutes; what is computed from it stays in
memory for ten minutes at most. Nothing is written down, nobody is counted.

### Licences and citing
Code, models and the synthetic speech: Apache-2.0. Please cite the repository (`CITATION.cff`) and the papers whose methods you use;
`docs/` names them.
"""

API = r"""
### For programs
Every function of this page has an endpoint; the *Use via API* link at the foot of the page lists them with their arguments.

```python
from gradio_client import Client, handle_file

client = Client("http://127.0.0.1:7860")
print(client.predict(api_name="/sentences"))
words = "It's hopeless, said the doctor, and my husband wept."
asked = (words, "angry", "high", None)
print(client.predict(*asked, api_name="/listen")["answers"])

mine = ("", "happy", "mid", handle_file("me.wav"))
print(client.predict(*mine, api_name="/listen")["answers"])
```

```javascript
// Node 18 or a browser; needs no package.
const url = "http://127.0.0.1:7860/gradio_api/call/listen";
const words = "It's hopeless, said the doctor, and my husband wept.";
const body = JSON.stringify({ data: [words, "angry", "high", null] });
const headers = { "Content-Type": "application/json" };
const asked = await fetch(url, { method: "POST", headers, body });
const { event_id } = await asked.json();
const reply = await fetch(`${url}/${event_id}`);
const messages = (await reply.text()).trim().split("\n\n");
const [event, data] = messages.at(-1).split("\ndata: ");
if (event !== "event: complete") throw new Error(data);
console.log(JSON.parse(data)[0].answers);
```

`/listen` streams: every message holds the answers as far as they are written, the last one the whole. `GET /health` says whether the models
are loaded. The package `@gradio/client` does the same.
"""

ENDPOINTS = {
    "sentences": "The sentences on offer, and the emotion that their words carry.",
    "models": "The models that answer side by side, those on offer, and the voices.",
    "variant": "A sentence, or your recording, spoken in another voice: a WAV file.",
    "listen": "What two models answer to a sentence, or to your recording, in a voice; streams while they write.",
    "seven": "What two models answer to all seven voices of a sentence or recording; one model after the other.",
    "conflict": "Probabilities of the voice's and the words' emotion while a voice grows, and the threshold.",
    "why": "Relevance by word, attention, and what each layer carries, for one model; streams what is found.",
    "compare": "Two recordings to two models (or the same); streams while they write.",
    "files": "Figure (PNG), answers (JSON) and sound (WAV) of what /listen says.",
}

OOPS = "Something went wrong on our side; it has been noted. Try again, or with another recording."
