#include "core/formats/stand_in.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "core/formats/input_file.h"
#include "core/formats/zip_archive.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

bool is_pointer(std::string_view beginning) {
  return beginning.starts_with("version https://git-lfs.github.com/spec/");
}

// Whitespace and a byte order mark may stand before the tag.
bool is_web_page(std::string_view beginning) {
  if (beginning.starts_with("\xEF\xBB\xBF")) beginning.remove_prefix(3);
  const std::size_t start = beginning.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return false;
  std::string lower(beginning.substr(start, 16));
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const char* tag : {"<!doctype html", "<html", "<head", "<?xml", "<!--"}) {
    if (lower.starts_with(tag)) return true;
  }
  return false;
}

// Eight bytes of length and the beginning of a JSON object.
bool is_safetensors(std::string_view beginning) {
  std::uint64_t length = 0;
  if (beginning.size() < sizeof length + 2) return false;
  std::memcpy(&length, beginning.data(), sizeof length);
  return length < 100'000'000 && beginning.substr(sizeof length, 2) == "{\"";
}

}  // namespace

void refuse_stand_in(std::string_view beginning, const std::string& source) {
  const std::string file = "'" + source + "'";
  if (is_pointer(beginning)) {
    throw Error(file + " is a Git LFS pointer: the file itself was not fetched",
                "fetch it with git lfs pull in that folder, or download the file itself");
  }
  if (is_web_page(beginning)) {
    throw Error(file + " is a web page, not the file that it should be",
                "the download was answered by a page (an error, or a question to log in): fetch the file itself");
  }
  const std::string_view name = source;
  if (name.ends_with(".safetensors") && ZipArchive::is_archive(beginning)) {
    throw Error(file + " is a zip archive, as torch.save writes it, under the name of the other format",
                "rename it: pytorch_model.bin is what such a file is called");
  }
  if (name.ends_with(".bin") && is_safetensors(beginning)) {
    throw Error(file + " is a safetensors file under the name of the other format",
                "rename it: model.safetensors is what such a file is called");
  }
}

void refuse_stand_in_at(const std::string& path) {
  std::string beginning;
  std::error_code error;
  // Who writes a pipe would take a look into it for the whole reading.
  if (!std::filesystem::is_regular_file(path, error)) return;
  try {
    const InputFile file = InputFile::open(path);
    beginning = file.text(0, std::min<std::uint64_t>(file.size(), kStandInBytes));
  } catch (const Error&) {
    return;  // who reads it says why
  }
  refuse_stand_in(beginning, path);
}

}  // namespace mformer
