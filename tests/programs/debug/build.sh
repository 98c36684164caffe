#!/bin/sh
# Rebuilds every NAME.wasm from c/NAME.c: freestanding programs with debug information (DWARF).
#
# The committed files come from Debian's clang and lld (14.0.6). Paths in them are relative to this folder.
set -eu
cd "$(dirname "$0")"
for source in c/*.c; do
    name=$(basename "$source" .c)
    ${CLANG-clang} --target=wasm32 -O1 -g -nostdlib -ffreestanding -fno-optimize-sibling-calls -Wall -Wextra -Werror \
        -fdebug-compilation-dir=. -Wl,--no-entry -o "$name.wasm" "$source"
done
