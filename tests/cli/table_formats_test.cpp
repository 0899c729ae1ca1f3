#include "cli/terminal/table_formats.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "modules_registry/error.h"

namespace mformer::terminal {
namespace {

Style style_with(TableFormat format) {
  Style style;
  style.tables = format;
  return style;
}

std::string table_as(TableFormat format) {
  Table table({{"task"}, {"tokens"}});
  table.add_row({"a, \"b\"", "12,288"});
  table.add_rule();
  table.add_row({"50% of x_1|y\\", "-1,024.5"});
  return only_tables("before\n" + table.str(style_with(format)) + "after");
}

TEST(TableFormatsTest, CsvQuotesTextAndWritesNumbersThatProgramsRead) {
  EXPECT_EQ(table_as(TableFormat::csv), "task,tokens\n\"a, \"\"b\"\"\",12288\n50% of x_1|y\\,-1024.5\n");
}

TEST(TableFormatsTest, MarkdownEscapesItsBarsAndAlignsNumbersRight) {
  EXPECT_EQ(table_as(TableFormat::markdown),
            "| task | tokens |\n|---|---:|\n| a, \"b\" | 12,288 |\n| 50% of x_1\\|y\\\\ | -1,024.5 |\n");
}

TEST(TableFormatsTest, LatexEscapesWhatItWouldRead) {
  EXPECT_EQ(table_as(TableFormat::latex),
            "\\begin{tabular}{lr}\n\\hline\ntask & tokens \\\\\n\\hline\na, \"b\" & 12,288 \\\\\n"
            "50\\% of x\\_1|y\\textbackslash{} & -1,024.5 \\\\\n\\hline\n\\end{tabular}\n");
}

TEST(TableFormatsTest, OnlyNumbersInThousandsLoseTheirCommas) {
  for (const char* cell : {"1,2", "1,2345", ",123", "a,123", "1,234,5", "1,234.5,6", "+", ","}) {
    Table table({{"x", Align::left}});
    table.add_row({cell});
    EXPECT_EQ(only_tables(table.str(style_with(TableFormat::csv))).find('"') != std::string::npos,
              std::string(cell).find(',') != std::string::npos)
        << cell;
  }
}

TEST(TableFormatsTest, AReportPrintsItsTablesAlone) {
  std::ostringstream out;
  Report report("eval", false, out, style_with(TableFormat::csv));
  for (const char* title : {"one", "two"}) {
    Table table({{title}});
    table.add_row({"1"});
    report.text() << "about " << title << '\n' << table.str(report.style());
  }
  report.print_text_so_far();
  report.print_unchanged("data");
  report.print();
  EXPECT_EQ(out.str(), "one\n1\n\ntwo\n1\n");
}

TEST(TableFormatsTest, AReportWithoutATableSaysSo) {
  std::ostringstream out;
  Report report("use", false, out, style_with(TableFormat::csv));
  report.text() << "using base\n";
  EXPECT_THROW(report.print(), UsageError);
  EXPECT_EQ(out.str(), "");
}

}  // namespace
}  // namespace mformer::terminal
