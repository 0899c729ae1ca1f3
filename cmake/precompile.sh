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

# The whole text with its macros, without the lines that name this clone's folder. First: a header that is there, an
# earlier one or one that the cache hands out at once, would be read in place of the text.
rm -f "$made" "$made.sum"
sum=$(CCACHE_DISABLE=1 "${reads[@]}" -E -P -dD 2>/dev/null | sha256sum) || sum=''
"$@"
if [ -n "$sum" ]; then echo "$sum" >"$made.sum"; fi
