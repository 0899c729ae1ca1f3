#!/usr/bin/env bash
# precompile.sh COMMAND...: runs the compiler's command; where it makes a precompiled header, NAME.gch, it also writes
# NAME.gch.sum, by which ccache knows the header (CCACHE_PCH_EXTSUM). GCC makes other bytes of the same header each time:
# known by those, all that includes the header would be compiled anew wherever the header itself was.
set -euo pipefail

made='' reads=() previous=''
for argument in "$@"; do
  case $previous in
    -o) made=$argument ;;
    -MF | -MT) ;;
    *) case $argument in -o | -MD | -MF | -MT | -c) ;; *) reads+=("$argument") ;; esac ;;
  esac
  previous=$argument
done
[[ $made == *.gch ]] || exec "$@"

# An earlier header would be read in place of the text.
rm -f "$made" "$made.sum"
# The whole text with its macros, without the lines that name this clone's folder.
CCACHE_DISABLE=1 "${reads[@]}" -E -P -dD | sha256sum >"$made.sum.new" &
"$@"
wait $! && mv "$made.sum.new" "$made.sum"
