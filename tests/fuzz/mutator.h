#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace mformer::fuzz {

/// Changes inputs a little, always in the same way for the same seed: where no libFuzzer is there, which would look at
/// what an input reaches.
class Mutator {
 public:
  /// `words` are what files of the kind are made of (a dictionary of libFuzzer's format, read by read_dictionary).
  Mutator(std::uint64_t seed, std::vector<std::string> inputs, std::vector<std::string> words);

  /// One of the inputs after one to five changes, at most `longest` bytes or as long as that input was.
  std::string next(std::size_t longest);

 private:
  std::size_t below(std::size_t count) { return count == 0 ? 0 : static_cast<std::size_t>(random_() % count); }
  void change(std::string& text);
  void change_bytes(std::string& text, std::size_t at);
  void change_number(std::string& text, std::size_t at);
  void change_digits(std::string& text);
  void insert_piece(std::string& text, std::size_t at);

  std::mt19937_64 random_;
  std::vector<std::string> inputs_, words_;
};

/// The words of a dictionary: lines of `"…"` or `name="…"` with \\, \" and \xAB in them.
std::vector<std::string> read_dictionary(std::string_view text);

}  // namespace mformer::fuzz
