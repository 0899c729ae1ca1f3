// Run by a launcher, once a rank: the collective operations through the real MPI, with messages larger than one piece.
// mpi_check PLUG_IN

#include <ATen/ATen.h>

#include <cstdio>

#include "core/parallel/plug_in.h"
#include "core/parallel/process_group.h"

namespace {

int failures = 0;

void check(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  std::fprintf(stderr, "wrong: %s\n", what);
}

at::Tensor values(int rank, std::int64_t count) {
  return at::arange(count, at::TensorOptions(at::kDouble)).mul(0.37 * (rank + 1)).sin().to(at::kFloat);
}

void check_group(mformer::ProcessGroup& group) {
  const std::int64_t count = 3'000'001;  // a slice takes several pieces, and no rank's is like another's
  at::Tensor expected = values(0, count);
  for (int rank = 1; rank < group.size(); ++rank) expected = expected + values(rank, count);
  const at::Tensor gradients = values(group.rank(), count), losses = values(group.rank(), 3);
  const auto work = group.begin_sum(gradients, mformer::Lane::gradients);
  group.all_reduce_sum(losses);
  work.wait();
  check(gradients.equal(expected), "the sum of what is long");
  check(losses.numel() == 3 && losses.equal(group.all_gather(losses)[0]), "the sum of what is short");
  std::vector<std::int64_t> sent, came;
  std::vector<at::Tensor> rows;
  for (int rank = 0; rank < group.size(); ++rank) {
    sent.push_back(rank == group.rank() ? 0 : 100000 * rank),
        came.push_back(rank == group.rank() ? 0 : 100000 * group.rank());
    rows.push_back(at::full({sent.back(), 7}, static_cast<double>(group.rank())));
  }
  const at::Tensor received = group.all_to_all(at::cat(rows), sent, came);
  std::int64_t first = 0;
  for (int rank = 0; rank < group.size(); ++rank) {
    check(received.narrow(0, first, came[rank]).eq(rank).all().item<bool>(), "rows of another rank");
    first += came[rank];
  }
  check(group.all_gather_text("rank " + std::to_string(group.rank())).back() ==
            "rank " + std::to_string(group.size() - 1),
        "text");
  group.leave();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 2) return 2;
    mformer::ProcessGroup group(mformer::open_transport(argv[1]), {.timeout = 60});
    check_group(group);
    if (group.is_first()) std::printf("%d ranks\n", group.size());
  } catch (const mformer::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return failures == 0 ? 0 : 1;
}
