#include "core/text/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/text/text_pieces.h"
#include "modules_registry/error.h"
#include "tests/core/text/temporary_folder.h"

namespace mformer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> texts_of(const std::filesystem::path& data, CorpusSummary* summary = nullptr) {
  std::vector<std::string> texts;
  const auto found = for_each_document(data, [&](const Document& document) { texts.emplace_back(document.text); });
  if (summary != nullptr) *summary = found;
  return texts;
}

std::string error_of(const std::filesystem::path& data) {
  try {
    texts_of(data);
    return "";
  } catch (const Error& error) {
    EXPECT_NE(error.hint(), "") << error.what();
    return error.what();
  }
}

TEST(DocumentsTest, FilesComeInTheOrderOfTheirRelativePaths) {
  const TemporaryFolder folder;
  folder.write("b.txt", "3");
  folder.write("a/z.txt", "2");
  folder.write("a/c/d.py", "1");
  folder.write("c", "4");
  EXPECT_THAT(texts_of(folder.path()), ElementsAre("1", "2", "3", "4"));
}

TEST(DocumentsTest, HiddenBinaryAndEmptyFilesAreLeftOutAndCounted) {
  const TemporaryFolder folder;
  folder.write("text.txt", "text");
  folder.write(".hidden", "no");
  folder.write(".git/config", "no");
  folder.write("program", std::string_view("ELF\0", 4));
  folder.write("empty", "");
  std::filesystem::create_directory_symlink(folder.path(), folder / "loop");
  std::filesystem::create_symlink("nowhere", folder / "broken");
  CorpusSummary summary;
  EXPECT_THAT(texts_of(folder.path(), &summary), ElementsAre("text"));
  EXPECT_EQ(summary.files, 1);
  EXPECT_EQ(summary.documents, 1);
  EXPECT_EQ(summary.text_bytes, 4);
  EXPECT_EQ(summary.hidden_skipped, 2);
  EXPECT_EQ(summary.binary_skipped, 1);
  EXPECT_EQ(summary.empty_skipped, 1);
  EXPECT_EQ(summary.other_skipped, 2);
  EXPECT_EQ(summary.files_left_out(), 4);
  EXPECT_EQ(left_out_text(summary),
            "2 hidden files and folders, 1 binary file, 1 empty file, 2 links and special files");
  EXPECT_THAT(summary.examples,
              ::testing::UnorderedElementsAre("'program' is binary: it has a zero byte near its beginning",
                                            "'loop' is a link, but to no file", "'broken' is a link, but to no file"));
}

TEST(DocumentsTest, JsonLinesMayBeTextOrPairsWhoseLossStartsAfterThePrompt) {
  const TemporaryFolder folder;
  folder.write("data.jsonl",
               "{\"text\": \"plain\", \"id\": 1}\n\n"
               "{\"prompt\": \"p\", \"completion\": \"c\"}\r\n"
               "{\"question\": \"q?\", \"answer\": \"a\"}");
  std::vector<std::pair<std::string, std::string>> found;
  for_each_document(folder / "data.jsonl", [&](const Document& document) {
    ASSERT_EQ(document.edges.size(), 1U);
    found.emplace_back(document.text.substr(0, document.edges[0]), document.text.substr(document.edges[0]));
  });
  EXPECT_THAT(found, ElementsAre(std::pair("", "plain"), std::pair("p\n", "c"), std::pair("Q: q?\nA:", " a")));
}

TEST(DocumentsTest, MissingEmptyAndTextlessFoldersAreErrors) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(folder / "missing"), HasSubstr("there is no data"));
  EXPECT_THAT(error_of(folder.path()), HasSubstr("there are no files"));
  folder.write("program", std::string_view("\0\0", 2));
  EXPECT_THAT(error_of(folder.path()), HasSubstr("no readable text"));
}

TEST(DocumentsTest, AnUnreadableFileIsAnErrorThatNamesIt) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  const TemporaryFolder folder;
  folder.write("secret.txt", "text");
  std::filesystem::permissions(folder / "secret.txt", std::filesystem::perms::none);
  EXPECT_THAT(error_of(folder.path()), HasSubstr("secret.txt"));
}

TEST(DocumentsTest, LongTextIsCutIntoPiecesAtParagraphsAndNothingIsLost) {
  const TemporaryFolder folder;
  std::string text;
  while (text.size() < 300'000) text += std::string(700 + text.size() % 900, 'x') + "\n\n";
  folder.write("book.txt", text);
  std::string joined;
  const auto pieces = texts_of(folder.path());
  EXPECT_GE(pieces.size(), 5U);
  for (const std::string& piece : pieces) {
    EXPECT_LE(piece.size(), kPieceBytes);
    EXPECT_TRUE(piece.ends_with("\n\n"));
    joined += piece;
  }
  EXPECT_EQ(joined, text);
}

TEST(DocumentsTest, PiecesEndAtLinesElseSpacesElseCharacters) {
  const std::string lines = std::string(40'000, 'a') + "\n" + std::string(40'000, 'b');
  EXPECT_EQ(first_piece(lines), 40'001U);
  const std::string words = std::string(40'000, 'a') + " " + std::string(40'000, 'b');
  EXPECT_EQ(first_piece(words), 40'001U);
  EXPECT_EQ(first_piece("\n\n" + std::string(90'000, 'a')), kPieceBytes);  // too early to cut at
  std::string euros;
  while (euros.size() < 90'000) euros += "€";
  EXPECT_EQ(first_piece(euros), kPieceBytes / 3 * 3);
  EXPECT_EQ(first_piece(std::string(90'000, '\x80')), kPieceBytes);  // no character anywhere
  EXPECT_EQ(first_piece(std::string(kPieceBytes, 'a')), kPieceBytes);
}

TEST(DocumentsTest, PairsAreNeverCut) {
  const TemporaryFolder folder;
  folder.write("d.jsonl", R"({"prompt": ")" + std::string(100'000, 'p') + R"(", "completion": "c"})");
  EXPECT_EQ(texts_of(folder.path()).size(), 1U);
}

TEST(DocumentsTest, TheSplitDependsOnTheContentAlone) {
  const auto split_of_rank = [](uint64_t rank) {
    char hash[17];
    std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(123'000 + rank));
    return Document{"", {0}, hash}.split();
  };
  EXPECT_EQ(split_of_rank(0), Split::held_out);
  EXPECT_EQ(split_of_rank(49), Split::held_out);
  EXPECT_EQ(split_of_rank(50), Split::validation);
  EXPECT_EQ(split_of_rank(99), Split::validation);
  EXPECT_EQ(split_of_rank(100), Split::train);
  EXPECT_EQ(split_of_rank(999), Split::train);
  EXPECT_EQ((Document{"abc", {0}, sha256_hex("abc")}.split()), Split::validation);  // 0xba7816bf8f01cfea % 1000 = 74
}

TEST(DocumentsTest, AboutOneInTwentyIsHeldOut) {
  int held_out = 0;
  int validation = 0;
  for (int number = 0; number < 10'000; ++number) {
    const Document document{"", {0}, sha256_hex(std::to_string(number))};
    held_out += document.split() == Split::held_out ? 1 : 0;
    validation += document.split() == Split::validation ? 1 : 0;
  }
  EXPECT_NEAR(held_out, 500, 80);
  EXPECT_NEAR(validation, 500, 80);
}

TEST(DocumentsTest, TheContentHashChangesWithTextNamesAndPromptEnds) {
  const TemporaryFolder folder;
  const auto hash = [&] { return for_each_document(folder.path(), [](const Document&) {}).content_hash; };
  folder.write("a.txt", "text");
  const auto first = hash();
  EXPECT_EQ(hash(), first);
  folder.write("a.txt", "tExt");
  EXPECT_NE(hash(), first);
  folder.write("a.txt", "text");
  EXPECT_EQ(hash(), first);
  std::filesystem::rename(folder / "a.txt", folder / "b.txt");
  EXPECT_NE(hash(), first);
}

TEST(DocumentsTest, ProgressEndsAtAllBytes) {
  const TemporaryFolder folder;
  folder.write("a.txt", std::string(200'000, 'a'));
  folder.write("b.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n");
  int64_t last = 0;
  int64_t all = 0;
  for_each_document(
      folder.path(), [](const Document&) {},
      [&](int64_t done, int64_t total) {
        EXPECT_GE(done, last);
        EXPECT_LE(done, total);
        last = done;
        all = total;
      });
  EXPECT_EQ(last, all);
  EXPECT_EQ(all, 200'000 + 32);
}

}  // namespace
}  // namespace mformer
