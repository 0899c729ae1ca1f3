#pragma once

#include <filesystem>

#include "cli/terminal/report.h"
#include "core/workflows/matrix_figures.h"

namespace mformer::cli {

/// R, the figures that follow from it, and the same by task.
void report_matrix(terminal::Report& report, const ScoreMatrix& matrix);

inline constexpr const char* matrix_csv_header = "figure,step,version,task,value";
/// The same numbers as lines under that heading, in full precision: "loss" for R (step
/// 0 = what the first step began from), the figures by task, and the means with an empty task. What is not known has no
/// line. Throws Error when the file can't be written.
void write_matrix_csv(const std::filesystem::path& file, const ScoreMatrix& matrix);

}  // namespace mformer::cli
