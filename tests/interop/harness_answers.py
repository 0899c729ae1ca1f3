"""Asks lm-evaluation-harness what test_harness.py wants to know. Its argument is JSON; the last line that it prints, too."""

import json
import logging
import os
import sys

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM


def task(asked):
    files = {"test": asked["questions"], **({"train": asked["examples"]} if "examples" in asked else {})}
    config = {
        "task": "asked", "dataset_path": "json", "dataset_kwargs": {"data_files": files}, "test_split": "test",
        "doc_to_text": "{{prompt}}", "output_type": asked["kind"], "num_fewshot": asked.get("shots", 0)
    }
    if "examples" in asked:
        config.update(fewshot_split="train", fewshot_config={"sampler": "first_n"})
    if asked["kind"] == "multiple_choice":
        return {
            **config, "doc_to_choice": "choices", "doc_to_target": "answer",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}]
        }
    return {
        **config, "doc_to_target": "answer",
        "generation_kwargs": {"until": ["\n"], "do_sample": False, "max_gen_toks": asked["tokens"]},
        "filter_list": [{"name": "stripped", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}],
        "metric_list": [{"metric": "exact_match"}]
    }


def served(asked):
    """The model behind a server; `model` has its tokens."""
    from lm_eval.models.openai_completions import LocalCompletionsAPI
    # It takes one token less than it is told, of which the last is only asked for.
    return LocalCompletionsAPI(model=asked["served"], base_url=asked["server"] + "/v1/completions", tokenizer=asked["model"], tokenized_requests=True,
                               max_length=asked["context"] + 2, num_concurrent=4, max_gen_toks=asked.get("tokens", 256))


def main():
    asked = json.loads(sys.argv[1])
    logging.disable(logging.WARNING)
    # Its cache of logits mixes up questions that are asked twice.
    model = served(asked) if "server" in asked else HFLM(pretrained=asked["model"], dtype="float32", device="cpu", batch_size=1, logits_cache=False)
    done = simple_evaluate(model, tasks=[task(asked)], log_samples=True, bootstrap_iters=1000)
    results = {name.split(",")[0]: value for name, value in done["results"]["asked"].items()}
    samples = sorted(done["samples"]["asked"], key=lambda sample: sample["doc_id"])
    answers = [[one[0] for one in sample["filtered_resps"]] if asked["kind"] == "multiple_choice" else sample["filtered_resps"][0]
               for sample in samples]
    print(json.dumps({"results": results, "samples": answers}))


if __name__ == "__main__":
    main()
