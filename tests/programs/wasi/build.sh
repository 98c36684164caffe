#!/bin/sh
# Rebuilds every NAME.wasm from c/NAME.c: programs of WASI preview 1, with a C library.
#
# The committed files come from Debian's clang, lld, wasi-libc and libclang-rt-dev-wasm32 (clang 14.0.6).
set -eu
cd "$(dirname "$0")"
for source in c/*.c; do
    name=$(basename "$source" .c)
    ${CLANG-clang} --target=wasm32-wasi -O2 -Wall -Wextra -Werror -Wl,--strip-debug -o "$name.wasm" "$source"
done
