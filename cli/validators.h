#pragma once

#include <CLI/CLI.hpp>
#include <string>

/// Checks for option values, used as `app.add_option("--keep", options.keep, "…")->check(fraction())`. Each refuses
/// with a sentence and a hint, both of which run_guarded (errors.h) prints. Numbers are decimal: no hexadecimal, no
/// octal, no surrounding spaces, no nan or inf.
namespace mformer::cli {

/// 0 < x <= 1. "30" and "30%" are answered with "write 0.3".
CLI::Validator fraction();

/// 0 <= x <= 1: a share that may be nothing.
CLI::Validator share();

/// A finite number > 0, or >= 0.
CLI::Validator positive_number();
CLI::Validator non_negative_number();

/// A whole number >= 1, or >= 0, that fits 63 bits.
CLI::Validator positive_integer();
CLI::Validator non_negative_integer();
/// Such a number, or the word.
CLI::Validator non_negative_integer_or(const std::string& word);

/// A whole number from 0 to 2^64 - 1.
CLI::Validator seed_number();

/// cpu, cuda or cuda:N.
CLI::Validator device_name();

/// csv, md or tex.
CLI::Validator table_format_name();

/// auto, always or never.
CLI::Validator colour_word();

/// A validator's answer that run_guarded splits again into error and hint.
std::string with_hint(const std::string& sentence, const std::string& hint);

}  // namespace mformer::cli
