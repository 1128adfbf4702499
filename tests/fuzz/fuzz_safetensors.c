/* libFuzzer: arbitrary bytes as a safetensors file. Build with clang -fsanitize=fuzzer,address,undefined. */
#include "fuzz_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    return fuzz_source("fuzz.safetensors", bytes, n);
}
