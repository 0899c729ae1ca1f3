#!/usr/bin/env bash
# The main job from nothing: set up, build, take a real pretrained model (SmolLM2, 135 million parameters), teach it
# German as a domain of its own, show that English is as it was, prune it for question answering, and show who routes
# where. Without a network, or with --sample, the same with a small model that is trained here on the repository's texts.
# Each run begins with a new workspace (build/quickstart/work); the last one, text and build are kept.
#
#   recipes/quickstart/run.sh [--sample]
set -euo pipefail
cd "$(dirname "$0")/../.."
here=recipes/quickstart
# shellcheck source=recipes/quickstart/settings.sh
source $here/settings.sh

case ${1:-} in
  '' | --sample) ;;
  *) printf 'error: unknown argument: %s\nhint: known: --sample; without it, a real model is downloaded\n' "$1" >&2; exit 2 ;;
esac

# shellcheck source=recipes/quickstart/steps.sh
source $here/steps.sh

started=$SECONDS
./recipes/build.sh
program=$PWD/build/release/bin/mformer
folder=build/quickstart text=build/quickstart/text work=build/quickstart/work results=build/quickstart/results
# Somebody may have gone on in the last run's workspace: it stays, under another name.
if [ -e $work ]; then
  kept=$work-$(date +%Y%m%d-%H%M%S)
  mv $work "$kept"
  printf "quickstart: the last run's workspace is now %s (%s)\n" "$kept" "$(du -sh "$kept" | cut -f1)"
fi
rm -rf $results
mkdir -p $text $results

step 'model and text'
# Exit code 3 says that there is no network; anything else that goes wrong should be looked at.
fetch_real() { model=$(recipes/corpora/model.sh) && recipes/corpora/fetch.sh $text english german qa; }
which=real
if [ "${1:-}" = --sample ]; then
  which=small
elif fetch_real; then
  :
elif [ $? -eq 3 ]; then
  echo 'quickstart: going on with the small model, trained here on the small sample texts of the repository'
  which=small
else
  exit 1
fi
[ $which = real ] || recipes/corpora/fetch.sh --sample $text english german qa

working=$SECONDS
# shellcheck source=recipes/quickstart/real_model.sh
# shellcheck source=recipes/quickstart/small_model.sh
source $here/${which}_model.sh

printf '\nworkspace: %s (try: %s --workspace %s log)\n' $work "${program#"$PWD"/}" $work
printf 'time: %d s in all, %d s of it after set-up and text\n' $((SECONDS - started)) $((SECONDS - working))
