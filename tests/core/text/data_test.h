#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/text/documents.h"
#include "modules_registry/error.h"
#include "tests/core/text/temporary_folder.h"

namespace mformer {

/// A document with its loss marked: "[" where it is switched on, "]" where off.
inline std::string marked(const Document& document) {
  std::string text(document.text);
  for (size_t i = document.edges.size(); i-- > 0;) text.insert(document.edges[i], i % 2 == 0 ? "[" : "]");
  return text;
}

struct FoundData {
  std::vector<std::string> texts;
  CorpusSummary summary;
};

inline FoundData read_data(const std::filesystem::path& data, const std::string& fields = "") {
  FoundData found;
  found.summary = for_each_document(
      data, [&](const Document& document) { found.texts.push_back(marked(document)); }, {},
      RecordFields::parse(fields));
  return found;
}

/// Message and hint.
inline std::string refusal_of(const std::filesystem::path& data, const std::string& fields = "") {
  try {
    read_data(data, fields);
    return "";
  } catch (const Error& error) {
    EXPECT_NE(error.hint(), "") << error.what();
    EXPECT_LT(std::string(error.what()).size(), 600U);
    return std::string(error.what()) + "\n" + error.hint();
  }
}

class DataTest : public ::testing::Test {
 protected:
  FoundData of(const std::string& name, std::string_view content, const std::string& fields = "") {
    folder_.write(name, content);
    return read_data(folder_ / name, fields);
  }
  std::string refused(const std::string& name, std::string_view content, const std::string& fields = "") {
    folder_.write(name, content);
    return refusal_of(folder_ / name, fields);
  }
  TemporaryFolder folder_;
};

}  // namespace mformer
