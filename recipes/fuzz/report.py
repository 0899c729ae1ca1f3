#!/usr/bin/env python3
"""Writes the table of docs/results/fuzzing.md from what libFuzzer printed and llvm-cov counted.

    report.py LOGS FAILED PAGE
"""
import json
import re
import sys
from pathlib import Path

# The files that read a kind, of which the lines are counted.
FILES = {
    "bundle": "transfer/bundle transfer/bundle_index transfer/bundle_scan transfer/json_rows transfer/parcel_json transfer/offer_json transfer/json_fields",
    "chat_document": "text/chat_template text/jinja_process text/jinja_spaces",
    "chat_files": "formats/chat_format formats/generation_config text/sentencepiece_settings",
    "config": "formats/model_config formats/model_config_validate families/hub_fields families/llama families/llama_config families/mixtral "
              "families/qwen2 families/qwen2_moe families/qwen3 families/qwen3_moe families/jetmoe families/granitemoe families/native "
              "families/rotary_fields families/window_fields families/families",
    "corpus": "text/corpus_reader text/csv_reader text/record_source text/records text/text_stream text/file_form text/chat_messages",
    "defaults": "cli/config_file",
    "gguf": "formats/gguf_file formats/gguf_header formats/gguf_cursor formats/gguf_types families/gguf_config families/gguf_fields "
            "families/gguf_rotary text/gguf_tokenizer",
    "gzip": "text/gzip_reader",
    "hub_cache": "cli/hub_cache",
    "json_line": "text/lenient_json text/records text/chat_messages",
    "parcel": "transfer/parcel_json transfer/json_rows transfer/json_fields",
    "pickle": "formats/torch_file formats/zip_archive formats/state_dict_program formats/pickle_reader",
    "pickle_program": "formats/state_dict_program formats/pickle_reader formats/pickle_values",
    "questions": "text/questions text/lenient_json",
    "regex": "text/regex text/regex_oniguruma text/oniguruma_encoding",
    "safetensors": "formats/safetensors formats/safetensors_header",
    "sentencepiece": "text/sentencepiece_model text/sentencepiece_json",
    "session": "cli/loss_curve",
    "template": "text/jinja_process text/jinja_spaces",
    "token_file": "text/token_file",
    "tokenizer": "text/tokenizer_json text/tokenizer_tables text/pipeline_json text/decoder_json text/bpe_model text/added_tokens text/normalizer "
                 "text/pre_tokenizer text/decoder text/json_fields",
    "weight_index": "formats/weight_files",
    "words": "workspace/selector_syntax workspace/parse_range",
}
HEAD = ("reader", "executions", "edges reached", "lines of its files reached", "inputs that broke a rule")


def executions(text):
    """A line of libFuzzer begins with how many it ran; lines of several runs are added up."""
    last, total = 0, 0
    for count in map(int, re.findall(r"^#(\d+)", text, re.MULTILINE)):
        if count < last:
            total += last
        last = count
    return total + last


def edges(text):
    return max(map(int, re.findall(r"cov: (\d+)", text)), default=0)


def lines(log, reader):
    if not log.exists():
        return "–"
    wanted = {f"{name if name.startswith('cli/') else 'core/' + name}.cpp" for name in FILES[reader].split()}
    counted = reached = 0
    for file in json.loads(log.read_text())["data"][0]["files"]:
        if any(file["filename"].endswith("/" + name) for name in wanted):
            counted += file["summary"]["lines"]["count"]
            reached += file["summary"]["lines"]["covered"]
    return f"{100 * reached / counted:.0f} % of {counted:,}" if counted else "–"


def rows(logs, failed):
    for reader in FILES:
        log = logs / reader
        if log.exists():
            text = log.read_text(errors="replace")
            broken = sum(1 for _ in failed.glob(f"{reader}-*"))
            yield reader, f"{executions(text):,}", f"{edges(text):,}", lines(logs / f"{reader}.json", reader), str(broken)


def main(logs, failed, page):
    table = [HEAD, ("---",) * len(HEAD), *rows(logs, failed)]
    text = "\n".join("| " + " | ".join(row) + " |" for row in table)
    before, _, rest = page.read_text().partition("<!-- readers -->")
    after = rest.partition("<!-- /readers -->")[2]
    page.write_text(f"{before}<!-- readers -->\n{text}\n<!-- /readers -->{after}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
