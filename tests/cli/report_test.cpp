#include "cli/terminal/report.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <streambuf>

#include "modules_registry/error.h"

namespace mformer::terminal {
namespace {

// A stream that fails as a full disk or a closed pipe does.
class FailingBuffer : public std::streambuf {
 public:
  explicit FailingBuffer(int reason) : reason_(reason) {}

 protected:
  int overflow(int) override {
    errno = reason_;
    return traits_type::eof();
  }
  std::streamsize xsputn(const char*, std::streamsize) override {
    errno = reason_;
    return 0;
  }

 private:
  int reason_;
};

TEST(ReportTest, JsonBeginsWithVersionAndCommand) {
  std::ostringstream out;
  Report report("inspect routing", true, out, Style());
  report.data()["share"] = 0.5;
  report.text() << "not for machines";
  report.print();
  EXPECT_EQ(out.str(), "{\"version\":1,\"command\":\"inspect routing\",\"share\":0.5}\n");
}

TEST(ReportTest, NumbersThatAreNotFiniteBecomeNull) {
  std::ostringstream out;
  Report report("eval", true, out, Style());
  report.data()["loss"] = std::numeric_limits<double>::quiet_NaN();
  report.data()["matrix"] = {1.5, std::numeric_limits<double>::infinity()};
  report.print();
  EXPECT_EQ(out.str(), "{\"version\":1,\"command\":\"eval\",\"loss\":null,\"matrix\":[1.5,null]}\n");
}

TEST(ReportTest, NamesCannotSpeakToTheTerminal) {
  std::ostringstream out;
  Report report("tasks", false, out, Style());
  report.text() << "task\x1b[2J\xC2\x9B\u202E\tü\n";
  report.print_unchanged("raw\x1b");
  report.print();
  EXPECT_EQ(out.str(), "task\\x1b[2J\\x9b\\u202e\tü\nraw\x1b");

  std::ostringstream json;
  Report machine("tasks", true, json, Style());
  machine.data()["name"] = "\x1b\xC2\x9B\u202E\x7F";
  machine.print_unchanged("not for machines");
  machine.print();
  EXPECT_EQ(json.str(), "{\"version\":1,\"command\":\"tasks\",\"name\":\"\\u001b\\u009b\\u202e\\u007f\"}\n");
  EXPECT_EQ(nlohmann::json::parse(json.str())["name"], "\x1b\xC2\x9B\u202E\x7F");
}

TEST(ReportTest, BrokenBytesDoNotBreakTheObject) {
  std::ostringstream out;
  Report report("generate", true, out, Style());
  report.data()["text"] = "a\xFFz";
  report.print();
  EXPECT_EQ(nlohmann::json::parse(out.str())["text"], "a\uFFFDz");
}

TEST(ReportTest, FieldsKeepTheirOrder) {
  std::ostringstream out;
  Report report("log", true, out, Style());
  report.data()["z"] = 1;
  report.data()["a"] = 2;
  report.print();
  EXPECT_EQ(out.str(), "{\"version\":1,\"command\":\"log\",\"z\":1,\"a\":2}\n");
}

TEST(ReportTest, ReservedFieldsAreRefused) {
  std::ostringstream out;
  Report report("use", true, out, Style());
  report.data()["version"] = 7;
  EXPECT_THROW(report.print(), std::logic_error);
  EXPECT_EQ(out.str(), "");
}

TEST(ReportTest, TextIsPrintedAtTheEndOnly) {
  std::ostringstream out;
  Report report("log", false, out, Style());
  report.data()["z"] = 1;
  report.text() << "one operation\n";
  EXPECT_EQ(out.str(), "");
  report.print();
  EXPECT_EQ(out.str(), "one operation\n");
}

TEST(ReportTest, TextCanBePrintedAsItComes) {
  std::ostringstream out;
  Report report("generate", false, out, Style());
  report.text() << "Once ";
  report.print_text_so_far();
  EXPECT_EQ(out.str(), "Once ");
  report.text() << "upon";
  report.print();
  EXPECT_EQ(out.str(), "Once upon");
}

TEST(ReportTest, AFullDiskIsAnErrorWithTheReason) {
  FailingBuffer buffer(ENOSPC);
  std::ostream out(&buffer);
  try {
    write_all(out, "result");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "cannot write the result to the standard output: No space left on device");
  }
}

TEST(ReportTest, AClosedPipeIsNoError) {
  FailingBuffer buffer(EPIPE);
  std::ostream out(&buffer);
  EXPECT_THROW(write_all(out, "result"), OutputClosed);
}

}  // namespace
}  // namespace mformer::terminal
