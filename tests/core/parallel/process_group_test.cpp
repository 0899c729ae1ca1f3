// What processes do together: results, the order of sums, and the end where one of them is missing.

#include "core/parallel/process_group.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>

#include "core/parallel/plug_in.h"
#include "tests/support/expect_error.h"
#include "tests/support/process_threads.h"

namespace mformer {
namespace {

using testing::as_processes;
using testing::expect_error;
using testing::Mailboxes;

/// What rank `rank` puts in: numbers of very different sizes, so that the order of a sum shows in its bits.
at::Tensor part_of(int rank, std::int64_t count, at::ScalarType type = at::kFloat) {
  at::Tensor x = at::arange(count, at::TensorOptions(at::kDouble)).add(1.0).mul(rank + 1).sin();
  return (x * (rank % 2 == 0 ? 1.0 : 1e6)).to(type);
}

class Groups : public ::testing::TestWithParam<int> {};

TEST_P(Groups, AddUpInTheOrderOfRanks) {
  const int size = GetParam();
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kLong}) {
    for (const std::int64_t count : {0, 1, 2, 3, 7, 1000}) {
      at::Tensor expected = part_of(0, count, type);
      for (int rank = 1; rank < size; ++rank) expected = expected + part_of(rank, count, type);
      as_processes(size, [&](ProcessGroup& group) {
        const at::Tensor x = part_of(group.rank(), count, type);
        group.all_reduce_sum(x);
        EXPECT_TRUE(x.equal(expected)) << "rank " << group.rank() << " of " << size << ", " << count;
      });
    }
  }
}

TEST_P(Groups, GatherBroadcastAndSpeakInTheOrderOfRanks) {
  const int size = GetParam();
  as_processes(size, [&](ProcessGroup& group) {
    const at::Tensor all = group.all_gather(part_of(group.rank(), 6).view({2, 3}));
    ASSERT_EQ(all.sizes(), at::IntArrayRef({size, 2, 3}));
    for (int rank = 0; rank < size; ++rank) EXPECT_TRUE(all[rank].flatten().equal(part_of(rank, 6)));
    for (int root = 0; root < size; ++root) {
      const at::Tensor x = part_of(group.rank(), 5);
      group.broadcast(x, root);
      EXPECT_TRUE(x.equal(part_of(root, 5)));
    }
    const auto texts = group.all_gather_text(std::string(group.rank(), 'x') + std::string(1, '\0'));
    for (int rank = 0; rank < size; ++rank) EXPECT_EQ(texts[rank], std::string(rank, 'x') + std::string(1, '\0'));
    EXPECT_EQ(group.all_gather_text(""), std::vector<std::string>(size));
    group.leave();
  });
}

TEST_P(Groups, ExchangeRowsInAnyNumbers) {
  const int size = GetParam();
  // Rank r sends (r + 2 s) % 4 rows to rank s, of which many are none.
  const auto count = [](int from, int to) { return std::int64_t{(from + 2 * to) % 4}; };
  as_processes(size, [&](ProcessGroup& group) {
    std::vector<std::int64_t> sent, came;
    for (int rank = 0; rank < size; ++rank) {
      sent.push_back(count(group.rank(), rank)), came.push_back(count(rank, group.rank()));
    }
    std::vector<at::Tensor> rows, expected;
    for (int rank = 0; rank < size; ++rank) {
      rows.push_back(at::full({sent[rank], 3}, 100.0 * group.rank() + rank));
      expected.push_back(at::full({came[rank], 3}, 100.0 * rank + group.rank()));
    }
    EXPECT_TRUE(group.all_to_all(at::cat(rows), sent, came).equal(at::cat(expected)));
    const std::vector<std::int64_t> none(size, 0);
    EXPECT_EQ(group.all_to_all(at::empty({0, 3}), none, none).sizes(), at::IntArrayRef({0, 3}));
  });
}

INSTANTIATE_TEST_SUITE_P(OfSizes, Groups, ::testing::Values(1, 2, 3, 4, 7));

TEST(ProcessGroup, SumsInOneLaneDoNotWaitForTheOther) {
  as_processes(3, [](ProcessGroup& group) {
    const at::Tensor late = part_of(group.rank(), 50), first = part_of(group.rank(), 9);
    // Rank 1 begins the gradients only after the forward lane's sum is done: in one line they would wait for ever.
    ProcessGroup::Work gradients;
    if (group.rank() != 1) gradients = group.begin_sum(late, Lane::gradients);
    group.all_reduce_sum(first);
    if (group.rank() == 1) gradients = group.begin_sum(late, Lane::gradients);
    gradients.wait();
    EXPECT_TRUE(late.equal(part_of(0, 50) + part_of(1, 50) + part_of(2, 50)));
  });
}

TEST(ProcessGroup, CountsWhatItSends) {
  as_processes(4, [](ProcessGroup& group) {
    group.all_reduce_sum(part_of(0, 1000));
    // A slice of a quarter to each of three others, twice.
    EXPECT_EQ(group.bytes_sent(), 2 * 3 * 250 * 4);
  });
}

TEST(ProcessGroup, NamesTheOneThatIsSilentAndStaysBroken) {
  Mailboxes boxes;
  boxes.silence(2);
  std::atomic<int> refused{0};
  as_processes(3,
               [&](ProcessGroup& group) {
                 if (group.rank() == 2) return;
                 const std::string hint = expect_error<ProcessError>(
                     [&] { group.all_reduce_sum(part_of(0, 10)); },
                     "process 2 of 3 (counted from 0) sent nothing for 0 s: ended, or hanging");
                 EXPECT_NE(hint.find("any number of processes"), std::string::npos);
                 expect_error<ProcessError>([&] { group.barrier(); }, "process 2 of 3");
                 ++refused;
               },
               boxes, {.timeout = 0.2});
  EXPECT_EQ(refused, 2);
}

TEST(ProcessGroup, GivesUpSoonerWhenItIsAskedToStop) {
  Mailboxes boxes;
  as_processes(2,
               [&](ProcessGroup& group) {
                 if (group.rank() == 1) return;
                 expect_error<ProcessError>([&] { group.barrier(); }, "stopped while process 1 of 2");
               },
               boxes, {.timeout = 3600, .should_stop = [] { return true; }, .grace = 0.05});
}

TEST(ProcessGroup, AWaitThatIsDroppedEnds) {
  Mailboxes boxes;
  as_processes(
      2,
      [&](ProcessGroup& group) {
        if (group.rank() == 0) group.begin_sum(part_of(0, 10));  // and nobody ever answers
      },
      boxes);
}

TEST(ProcessGroup, RefusesWhatItCantExchange) {
  as_processes(2, [](ProcessGroup& group) {
    expect_error<Error>([&] { group.all_reduce_sum(at::ones({4}, at::kHalf)); }, "float32, float64 and int64");
    expect_error<Error>([&] { group.all_reduce_sum(at::ones({4, 4}).t()); }, "contiguous");
    expect_error<Error>([&] { group.all_to_all(at::ones({4, 1}), {1, 2}, {1, 2}); }, "add up");
  });
}

TEST(RequireSame, NamesWhatDiffersAndWhere) {
  as_processes(4, [](ProcessGroup& group) {
    require_same(group, "the seed", "1", "");
    const std::string own = group.rank() % 2 == 0 ? "a" : "b";
    expect_error<ProcessError>([&] { require_same(group, "the data", own, "copy it"); },
                               "the data of process 1, 3 is another than that of process 0");
  });
}

TEST(OpenTransport, RefusesWhereThereIsNoPlugIn) {
  const std::string hint =
      expect_error<Error>([] { open_transport("/nowhere/mformer-mpi.so"); }, "was built without MPI");
  EXPECT_NE(hint.find("without mpirun"), std::string::npos);
}

}  // namespace
}  // namespace mformer
