#!/usr/bin/env bash
# Real text for training, from packages of Debian's main section: downloaded, unpacked into a temporary folder (nothing
# is installed, no root needed) and turned into plain documents.
#
#   fetch.sh DEST [DOMAIN...]            domains: english german qa (the default), python, french,
#                                        licences
#   fetch.sh --sample DEST [DOMAIN...]   the small sample in the repository instead: english, german, qa, code
#
# Writes DEST/english/*.txt, DEST/german/*.txt, DEST/french/*.txt, DEST/licences/*.txt, DEST/python/*.py, DEST/qa/pairs.jsonl and
# DEST/manifest.json (package, version, SHA-256, licence and bytes of text). A domain that is there already is left alone.
# Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the packages can't be reached (use --sample then).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
sample=$here/../../tests/data/sample

declare -A packages=(
  [english]='anarchism dict-gcide python3.11-doc sword-text-web'
  [german]='libreoffice-help-de debian-reference-de fortunes-de'
  [qa]='bsdgames perl-doc python3.11-doc'
  [python]='libpython3.11-stdlib'
  [french]='libreoffice-help-fr'
  [licences]='debian-policy doc-debian ruby-licensee'
)

say() { printf 'corpora: %s\n' "$*"; }
fail() { printf 'error: %s\nhint: %s\n' "$2" "$3" >&2; exit "$1"; }
usage() { fail 2 "$1" 'fetch.sh [--sample] DEST [english|german|qa|python|french|licences ...]'; }

# A domain's stamp names the recipe that made it: a changed recipe makes it again.
stamp() { printf '%s/.%s.complete' "$dest" "$1"; }
recipe() { cat "$here"/*.py "$0" | sha256sum | cut -d' ' -f1; }
is_complete() { [ -d "$dest/$1" ] && [ "$(cat "$(stamp "$1")" 2>/dev/null)" = "$2" ]; }

# What lies in the destination is replaced only where an earlier run made it: its stamp says so, from before it began.
require_own() {
  [ ! -e "$dest/$1" ] || [ -e "$(stamp "$1")" ] ||
    fail 1 "$dest/$1 was not made by this script, which would replace it" 'choose another DEST, or move that folder away'
}
claim() { require_own "$1"; echo begun >"$(stamp "$1")"; }

copy_sample() {
  local domain
  for domain in "$@"; do
    [ -d "$sample/$domain" ] || fail 2 "the sample has no domain '$domain'" 'it has english, german, qa and code'
    if is_complete "$domain" sample; then say "$domain: the sample is there already"; continue; fi
    claim "$domain"
    rm -rf "${dest:?}/$domain"
    cp -r "$sample/$domain" "$dest/$domain"
    echo sample >"$(stamp "$domain")"
    say "$domain: copied the sample, $(du -sk "$dest/$domain" | cut -f1) KB"
  done
}

update_lists() {
  [ "$(id -u)" -eq 0 ] || fail 3 'the package lists are missing or old, and only root may refresh them' \
    'run as root once: apt-get update; or use the sample: fetch.sh --sample DEST'
  say 'refreshing the package lists'
  apt-get -qq update >/dev/null 2>&1 || fail 3 'apt-get update failed' \
    'is the network up? The sample needs none: fetch.sh --sample DEST'
}

download() {
  local options=(-qq)
  # The folder is ours, where the user _apt may not write.
  [ "$(id -u)" -eq 0 ] && options+=(-o APT::Sandbox::User=root)
  (cd "$work/debs" && apt-get "${options[@]}" download "$@" >"$work/apt.log" 2>&1)
}

fetch_packages() {
  local package tool
  for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || fail 3 "this is no Debian: $tool is missing" 'use the sample: fetch.sh --sample DEST'
  done
  say "downloading $*"
  if ! download "$@"; then
    update_lists
    download "$@" || fail 3 "the packages can't be downloaded: $(tail -n 1 "$work/apt.log")" \
      'is the network up? The sample needs none: fetch.sh --sample DEST'
  fi
  for package in "$@"; do
    mkdir "$work/unpacked/$package"
    dpkg-deb -x "$work/debs/${package}"_*.deb "$work/unpacked/$package"
  done
}

main() {
  local domain from_sample='' wanted=() needed=() version
  if [ "${1:-}" = --sample ]; then from_sample=1; shift; fi
  [ -n "${1:-}" ] || usage 'a destination folder is needed'
  case $1 in -*) usage "unknown option '$1'" ;; esac
  dest=$1
  shift
  [ $# -gt 0 ] || set -- english german qa
  mkdir -p "$dest" || fail 1 "cannot create $dest" 'choose a folder that you may write to'
  dest=$(cd "$dest" && pwd)
  if [ -n "$from_sample" ]; then copy_sample "$@"; return; fi

  version=$(recipe)
  for domain in "$@"; do
    [ -n "${packages[$domain]:-}" ] || usage "unknown domain '$domain'"
    if is_complete "$domain" "$version"; then say "$domain: all there"; else require_own "$domain"; wanted+=("$domain"); fi
  done
  [ ${#wanted[@]} -gt 0 ] || return 0
  command -v python3 >/dev/null || fail 1 'python3 is needed to extract the text' 'install it: apt-get install python3'

  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/debs" "$work/unpacked"
  for domain in "${wanted[@]}"; do
    read -ra list <<<"${packages[$domain]}"
    needed+=("${list[@]}")
  done
  mapfile -t needed < <(printf '%s\n' "${needed[@]}" | sort -u)
  fetch_packages "${needed[@]}"
  for domain in "${wanted[@]}"; do
    claim "$domain"
    PYTHONDONTWRITEBYTECODE=1 python3 "$here/extract.py" "$domain" "$work" "$dest" || fail 1 "extracting '$domain' failed" 'read the lines above'
    echo "$version" >"$(stamp "$domain")"
  done
}

main "$@"
