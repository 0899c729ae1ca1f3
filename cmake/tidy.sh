#!/usr/bin/env bash
# clang-tidy on every file, as many at a time as there are cores: tidy.sh CLANG_TIDY BUILD_FOLDER FILES…
set -euo pipefail
tidy=$1
build=$2
shift 2

# clang cannot read GCC's precompiled headers: a compile database that includes what they hold.
sed -E 's/ -Winvalid-pch//g; s| -include [^ ]*cmake_pch\.hxx| -include ATen/ATen.h|g' -i "$build/tidy/compile_commands.json"

# Some warnings of GCC are unknown to clang. How many it suppressed in others' headers interests nobody.
printf '%s\0' "$@" | xargs -0 -P "$(nproc)" -n 4 "$tidy" --quiet -p "$build/tidy" \
  --extra-arg=-Wno-unknown-warning-option 2>&1 | { grep --line-buffered -Ev '^[0-9]+ warnings? generated\.$' || true; }
