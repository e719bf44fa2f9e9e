# The demo, for a machine with a CPU: docker build -t cogviz-demo . && docker run --rm -p 7860:7860 --read-only --tmpfs /tmp cogviz-demo
FROM python:3.11-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HF_HUB_OFFLINE=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba

# The largest part first: it stays as it is when the code changes.
RUN pip install "torch==2.13.0" --index-url https://download.pytorch.org/whl/cpu

WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY cogviz ./cogviz
# pyworld is compiled; the compiler does not stay, so its version does not matter.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && pip install --constraint constraints.txt --editable '.[demo]' \
    && python -m compileall -q cogviz \
    && apt-get purge --yes --auto-remove g++ \
    && rm -rf /var/lib/apt/lists/*

COPY checkpoints ./checkpoints
COPY data_samples ./data_samples

RUN useradd --system --uid 10001 --no-create-home visitor
USER 10001
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/health', timeout=4)"]
CMD ["cogviz", "demo", "--host", "0.0.0.0"]
