/* libFuzzer: arbitrary bytes as a GGUF file. Build with clang -fsanitize=fuzzer,address,undefined. */
#include "fuzz_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    return fuzz_source("fuzz.gguf", bytes, n);
}
