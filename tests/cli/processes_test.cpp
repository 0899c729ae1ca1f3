// How the program finds out that a launcher started it as one of several.

#include "cli/processes.h"

#include <gtest/gtest.h>

#include <map>

namespace mformer::cli {
namespace {

using Variables = std::map<std::string, std::string>;

Launch launch_with(const Variables& variables) {
  return launch_of([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

void expect_launch(const Variables& variables, int rank, int size, int beside) {
  const Launch found = launch_with(variables);
  EXPECT_EQ(found.rank, rank);
  EXPECT_EQ(found.size, size);
  EXPECT_EQ(found.beside, beside);
}

TEST(Launch, IsReadFromWhatLaunchersSet) {
  expect_launch({}, 0, 1, 1);
  expect_launch({{"OMPI_COMM_WORLD_RANK", "2"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}}, 2,
                4, 2);
  expect_launch({{"SLURM_PROCID", "5"}, {"SLURM_STEP_NUM_TASKS", "6"}, {"SLURM_STEP_TASKS_PER_NODE", "2(x3)"}}, 5, 6,
                2);
  expect_launch({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}}, 1, 2, 1);
}

TEST(Launch, TakesTheLauncherThatIsNearest) {
  expect_launch({{"SLURM_PROCID", "0"},
                 {"SLURM_STEP_NUM_TASKS", "1"},
                 {"OMPI_COMM_WORLD_RANK", "3"},
                 {"OMPI_COMM_WORLD_SIZE", "4"}},
                3, 4, 1);
}

TEST(Launch, OfOneProcessOrWithoutSenseIsNone) {
  expect_launch({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}}, 0, 1, 1);
  expect_launch({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}}, 0, 1, 1);  // a batch script
  expect_launch({{"PMI_RANK", "4"}, {"PMI_SIZE", "4"}}, 0, 1, 1);
  expect_launch({{"PMI_RANK", "-1"}, {"PMI_SIZE", "4"}}, 0, 1, 1);
  expect_launch({{"PMI_RANK", "x"}, {"PMI_SIZE", "99999999999999"}}, 0, 1, 1);
  expect_launch({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MPI_LOCALNRANKS", "0"}}, 1, 2, 1);
}

TEST(Launch, SharesOnlyWhatIsSplit) {
  EXPECT_TRUE(is_shared_by_processes("train"));
  EXPECT_TRUE(is_shared_by_processes("inspect routing"));
  EXPECT_FALSE(is_shared_by_processes("inspect"));
  EXPECT_FALSE(is_shared_by_processes("merge"));
  EXPECT_FALSE(is_shared_by_processes(""));
}

}  // namespace
}  // namespace mformer::cli
