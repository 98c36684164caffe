#!/bin/sh
# Rebuilds every wasm/NAME.wasm and wasm-ssa/NAME.wasm from c/NAME.c, or those named as arguments.
#
#   wasm/      what clang -O2 makes of the program.
#   wasm-ssa/  the program in SSA form and nothing more: no inlining, no loop or scalar
#              optimization. What a tier gains there is its own doing.
#
# The committed files come from clang 22.1.8 (Debian's clang-22, lld-22, llvm-22). The features are
# that clang's defaults: bulk-memory, multivalue, mutable-globals, nontrapping-fptoint,
# reference-types, sign-ext. Another LLVM is chosen with LLVM_SUFFIX, e.g. LLVM_SUFFIX=-19.
set -eu
cd "$(dirname "$0")"
suffix=${LLVM_SUFFIX--22}
clang=clang$suffix opt=opt$suffix llc=llc$suffix ld=wasm-ld$suffix

# No contraction, and overflow wraps: a native build must give the same results.
cflags="--target=wasm32 -std=c11 -ffreestanding -nostdlib -fno-math-errno -ffp-contract=off
        -fwrapv -Wall -Wextra -Werror"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The shadow stack is below the data (so overflow traps) and holds what has its address taken.
link() {
    case $1 in
    deep-recursion) stack=16777216 ;; # depth 100000 and more
    *) stack=65536 ;;
    esac
    $ld --no-entry --stack-first -z stack-size=$stack --strip-debug -o "$3" "$2"
}

[ $# -gt 0 ] || set -- $(cd c && ls *.c | sed 's/\.c$//' | grep -vx native)
mkdir -p wasm wasm-ssa
for name; do
    $clang $cflags -O2 -c "c/$name.c" -o "$tmp/opt.o"
    link "$name" "$tmp/opt.o" "wasm/$name.wasm"

    # -O1 without its passes: unlike -O0 it does not mark functions as not to be optimized.
    $clang $cflags -O1 -Xclang -disable-llvm-passes -emit-llvm -c "c/$name.c" -o "$tmp/raw.bc"
    $opt -passes=mem2reg "$tmp/raw.bc" -o "$tmp/ssa.bc"
    $llc -O1 -filetype=obj "$tmp/ssa.bc" -o "$tmp/ssa.o"
    link "$name" "$tmp/ssa.o" "wasm-ssa/$name.wasm"
done
