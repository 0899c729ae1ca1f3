#include "cli/completion_scripts.h"

namespace mformer::cli {

const char* const bash_completion =
    R"script(# Completion of mformer for bash 4.4 and later. Now:  source <(mformer completion bash)
# For good:  mformer completion bash > ~/.local/share/bash-completion/completions/mformer
_mformer() {
  local rest=${COMP_LINE:0:COMP_POINT} program=${COMP_WORDS[0]/#\~\//$HOME/}
  local words=() candidates=() word current kind prefix="" cuts="" mark i
  # bash cuts words at '@', '=' and ':' too; here only blanks part them.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    if ((i == 0)) || [[ $rest == [[:blank:]]* ]]; then words+=(""); fi
    rest=${rest#"${rest%%[![:blank:]]*}"}
    word=${COMP_WORDS[i]}
    if ((i == COMP_CWORD)); then word=$rest; fi
    words[-1]+=$word
    rest=${rest#"$word"}
  done
  current=${words[-1]}
  words=("${words[@]//[\"\'\\]/}")
  words=("${words[@]/#\~\//$HOME/}")
  COMPREPLY=()
  { read -r kind; mapfile -t candidates; } < <(printf '%s\n' "${words[@]:1}" | "$program" completion candidates 2>/dev/null)
  case $kind in
    files) compopt -o default 2>/dev/null ;;
    folders) compopt -o dirnames 2>/dev/null ;;
  esac
  # What is put into the line begins behind the last cut.
  for mark in @ = :; do
    if [[ $COMP_WORDBREAKS == *"$mark"* ]]; then cuts+=$mark; fi
  done
  if [[ -n $cuts ]]; then prefix=${current%"${current##*[$cuts]}"}; fi
  for word in "${candidates[@]}"; do
    word=${word%%$'\t'*}
    word=${word#"$prefix"}
    if [[ $current != [\"\']* && $word == *[!-A-Za-z0-9_./=+,:@]* ]]; then printf -v word %q "$word"; fi
    COMPREPLY+=("$word")
  done
}
complete -o nosort -F _mformer mformer
)script";

const char* const zsh_completion = R"script(#compdef mformer
# Completion of mformer for zsh. Now:  source <(mformer completion zsh)
# For good:  mformer completion zsh > DIR/_mformer, in a folder of $fpath
_mformer() {
  local -a lines candidates
  local line text
  lines=("${(@f)$(print -rl -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" | ${~${(Q)words[1]}} completion candidates 2>/dev/null)}")
  case $lines[1] in
    files) compset -P '--*='; _files; return ;;
    folders) compset -P '--*='; _files -/; return ;;
  esac
  for line in "${(@)lines[2,-1]}"; do
    text=${line%%$'\t'*}
    candidates+=("${text//:/\\:}:${line#*$'\t'}")
  done
  _describe -V mformer candidates
}
if [[ ${funcstack[1]} == _mformer ]]; then _mformer "$@"; else compdef _mformer mformer; fi
)script";

const char* const fish_completion = R"script(# Completion of mformer for fish. Now:  mformer completion fish | source
# For good:  mformer completion fish > ~/.config/fish/completions/mformer.fish
function __mformer_candidates
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l lines (string join \n -- $before[2..-1] "$current" | command $before[1] completion candidates 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$current"
        case folders
            __fish_complete_directories "$current"
    end
    test (count $lines) -gt 1; and printf '%s\n' $lines[2..-1]
end
complete -c mformer -f -k -a '(__mformer_candidates)'
)script";

}  // namespace mformer::cli
