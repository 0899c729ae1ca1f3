#!/bin/sh
# clang-tidy on every file, two at a time: tidy.sh CLANG_TIDY BUILD_FOLDER FILES…
tidy=$1
build=$2
shift 2
# GCC's precompiled headers mean nothing to clang; -Wno- flags of GCC are unknown to it.
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 4 "$tidy" --quiet -p "$build" \
  --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-gch 2>/dev/null
